using QwenProxy.Core.Credentials;
using QwenProxy.Storage;

namespace QwenProxy.Credentials;

/// <summary>
/// One account's row. The turn is a lease with an end that its holder puts off while it works, and a fence: a number that each taking of the lease counts up
/// and that a write must show. A replica that was held up, cut off or taken for dead writes nothing any more; a replica that died is waited for until its
/// lease ends. See docs/adr/011-leases-with-a-fence.md for why it is no advisory lock.
/// </summary>
internal sealed class DatabaseCredentials(FleetCredentials fleet, FleetDatabase database, string account, string holder, TimeProvider time, Func<double> chance) : ICredentialsStore
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(15);

    /// <summary>After an outage, how long others wait for a holder whose lease ended meanwhile; a broker tries to save again more often than that.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromSeconds(12);

    /// <summary>
    /// How long after a turn was taken from a replica that had not ended it the sign-in server's refusal is not believed: that replica may have used the
    /// refresh token up, and come back with what it got.
    /// </summary>
    public static readonly TimeSpan DoubtFor = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(400);

    /// <summary>Longer than a dead holder's lease and the patience with it.</summary>
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(45);

    private volatile LeaseTurn? _turn;

    public string Path => fleet.Name;

    public FileStamp? Stamp() => fleet.Of(account) is { Version: > 0, IsSignedOut: false } row ? StampOf(row) : null;

    public CredentialsReading Read() => fleet.Of(account) switch
    {
        null => new CredentialsReading(null, $"{fleet.Name} was not read yet{(database.Trouble is { } trouble ? $": {trouble.Problem}" : "")}", null) { IsUnknown = true },
        { IsSignedOut: true } => new CredentialsReading(null, "it was signed out with logout", null),
        { Version: 0 } => new CredentialsReading(null, $"nobody has signed it in to {fleet.Name}", null),
        { } row => new CredentialsReading(row.Credentials, row.Fault is null ? null : $"its sign-in in {fleet.Name} cannot be used: {row.Fault}", StampOf(row)),
    };

    public bool WasSignedOut(QwenCredentials held) => fleet.Of(account) is { IsSignedOut: true, Credentials: { } ended } && ended.AccessToken.Equals(held.AccessToken);

    public async Task<LockAttempt> AcquireAsync(Func<bool> notNeeded, CancellationToken stop)
    {
        long began = time.GetTimestamp();
        while (true)
        {
            if (notNeeded()) return new LockAttempt(LockOutcome.NotNeeded);
            long asked = time.GetTimestamp();
            try
            {
                if (await fleet.LeaseAsync(account, holder, Lease, fleet.PatienceWithOthers, stop) is { } lease)
                {
                    CredentialsRow row = fleet.Take(account, lease.Row);
                    return Held(new LeaseTurn(fleet, account, lease.Fence, row.Version > 0 && !row.IsSignedOut ? StampOf(row) : null, asked, time)) with { IsInDoubt = lease.IsInDoubt };
                }
            }
            catch (DatabaseAwayException away)
            {
                // Nobody else can hold it while a lease of this replica's own lasts, which it could not give back.
                if (_turn is { } own && own.IsAlive) return Held(own);
                return new LockAttempt(LockOutcome.TimedOut, $"{fleet.Name} does not serve ({away.Problem}), and without it another replica might refresh the same token");
            }

            if (time.GetElapsedTime(began) > s_longestWait) return new LockAttempt(LockOutcome.TimedOut, $"another replica holds the lease of account {account} in {fleet.Name}");
            await Task.Delay(s_pause * (0.5 + chance()), time, stop);
        }
    }

    public async Task<SaveResult> SaveAsync(QwenCredentials credentials, CancellationToken stop)
    {
        if (_turn is not { } turn) return new SaveResult(Stamp(), "the lease was given back before");
        try
        {
            CredentialsRow? written = await fleet.WriteAsync(account, turn.Fence, credentials, stop);
            turn.IsOver = true;
            if (written is null) return new SaveResult(turn.Stamp, "another replica has taken over the lease");
            return new SaveResult(StampOf(fleet.Take(account, written)));
        }
        catch (DatabaseAwayException away)
        {
            turn.IsUnsaved = true;
            return new SaveResult(turn.Stamp, away.Problem);
        }
    }

    /// <summary>Ends the sign-in. Call it within the turn. Null when it is done, else why not.</summary>
    public async Task<string?> SignOutAsync(CancellationToken stop)
    {
        if (_turn is not { } turn) return "the lease was given back before";
        turn.IsOver = true;
        return await fleet.SignOutAsync(account, turn.Fence, stop) ? null : "another replica has taken over the lease";
    }

    private LockAttempt Held(LeaseTurn turn)
    {
        _turn = turn;
        turn.Begin();
        return new LockAttempt(LockOutcome.Held, null, turn);
    }

    private FileStamp StampOf(CredentialsRow row) => new(Path, row.ChangedUtc, row.Version);
}
