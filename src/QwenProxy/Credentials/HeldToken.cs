using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>The sign-in in use, immutable: a request that took it keeps it while the broker goes on to the next.</summary>
internal sealed record HeldToken
{
    public required QwenCredentials Credentials { get; init; }

    /// <summary>What requests get: the token and its place, or the reason why the place is refused.</summary>
    public required AccessTokenResult Result { get; init; }

    /// <summary>The file's state that this came from or went to; null when it was never in a file.</summary>
    public FileStamp? Stamp { get; init; }

    /// <summary>The end by this machine's wall clock.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>The time left when it was taken up, and the monotonic time stamp of that moment.</summary>
    public required TimeSpan LeftAtStart { get; init; }

    public required long StartTimestamp { get; init; }

    /// <summary>The whole life it was given; null when it came from a file at the start and nobody knows.</summary>
    public TimeSpan? Lifetime { get; init; }

    /// <summary>The access token that this one replaced: while this one is unsaved, the file still holds that one.</summary>
    public Secret? Replaced { get; init; }

    /// <summary>True while the file lacks these tokens.</summary>
    public bool IsUnsaved { get; init; }

    /// <summary>True when it was fetched because the upstream had refused the one before.</summary>
    public bool ReplacesRefused { get; init; }

    /// <summary>
    /// The earlier of two ends: by the wall clock, which goes on while a laptop sleeps, and by the monotonic one, which a corrected wall clock
    /// does not move. A clock that jumps therefore costs one refresh, and never serves a dead token or refreshes without end.
    /// </summary>
    public TimeSpan Remaining(TimeProvider time)
    {
        TimeSpan byWall = ExpiresAt - time.GetUtcNow();
        TimeSpan byElapsed = LeftAtStart - time.GetElapsedTime(StartTimestamp);
        return byWall < byElapsed ? byWall : byElapsed;
    }

    public TokenPhase PhaseAt(TimeProvider time) => TokenLifetime.PhaseOf(Remaining(time), Lifetime);
}
