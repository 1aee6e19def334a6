namespace QwenProxy.Core.Credentials;

/// <summary>What a token is good for now.</summary>
public enum TokenPhase
{
    /// <summary>Serve it.</summary>
    Valid,

    /// <summary>Serve it, and refresh in the background.</summary>
    Expiring,

    /// <summary>Too close to its end to be given out first, but better than nothing while a refresh fails.</summary>
    LastMoments,

    /// <summary>Over.</summary>
    Expired,
}

/// <summary>When a token counts as valid and when it is refreshed. A refresh is never a precondition while a token still serves.</summary>
public static class TokenLifetime
{
    /// <summary>A token is not handed out for its last 30 s: the request would arrive with a dead one.</summary>
    public static readonly TimeSpan Margin = TimeSpan.FromSeconds(30);

    /// <summary>The background refresh begins this long before the end.</summary>
    public static readonly TimeSpan Lead = TimeSpan.FromMinutes(5);

    /// <summary>Taken for a reply without <c>expires_in</c>: short, yet long enough that not every request refreshes.</summary>
    public static readonly TimeSpan Assumed = TimeSpan.FromMinutes(10);

    /// <summary>
    /// <paramref name="remaining"/> is the time to the token's end; <paramref name="lifetime"/> the whole life it was given, where known.
    /// Tokens that live shorter than the usual windows get windows in proportion: fixed ones would refresh a two-minute token without pause.
    /// </summary>
    public static TokenPhase PhaseOf(TimeSpan remaining, TimeSpan? lifetime)
    {
        if (remaining <= TimeSpan.Zero) return TokenPhase.Expired;
        if (remaining <= AtMost(Margin, lifetime / 4)) return TokenPhase.LastMoments;
        return remaining <= AtMost(Lead, lifetime / 3) ? TokenPhase.Expiring : TokenPhase.Valid;
    }

    private static TimeSpan AtMost(TimeSpan window, TimeSpan? share) => share < window ? share.Value : window;
}
