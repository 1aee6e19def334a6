using QwenProxy.Storage;

namespace QwenProxy.Credentials;

/// <summary>One holding of an account's lease, put off while it lasts and given back afterwards.</summary>
/// <param name="stamp">The state of the row that the turn began with.</param>
/// <param name="since">When the lease was asked for, a time stamp of the clock's.</param>
internal sealed class LeaseTurn(FleetCredentials fleet, string account, long fence, FileStamp? stamp, long since, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_renewal = TimeSpan.FromSeconds(4);

    /// <summary>What is left of a lease that is not worth beginning with.</summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(3);

    private CancellationTokenSource? _renewing;
    private long _since = since;

    public long Fence => fence;

    public FileStamp? Stamp => stamp;

    /// <summary>Nothing is left to give back.</summary>
    public bool IsOver { get; set; }

    /// <summary>
    /// Tokens were fetched and could not be written. The lease is then not given back, however soon the database serves again: who took it would ask with a
    /// refresh token that is used up. It ends by itself, and its holder, who takes it anew to write, comes first.
    /// </summary>
    public bool IsUnsaved { get; set; }

    /// <summary>By this replica's clock, from before the lease was asked for: the server's ends later.</summary>
    public bool IsAlive => !IsOver && time.GetElapsedTime(Volatile.Read(ref _since)) < DatabaseCredentials.Lease - s_margin;

    /// <summary>Begins it, or goes on with it while the database is away.</summary>
    public void Begin()
    {
        _renewing = new CancellationTokenSource();
        _ = RenewAsync(_renewing.Token);
    }

    public void Dispose() => _ = EndAsync();

    private async Task RenewAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(s_renewal, time, stop);
                long asked = time.GetTimestamp();
                if (IsOver || !await fleet.RenewAsync(account, fence, DatabaseCredentials.Lease, stop)) return;
                Volatile.Write(ref _since, asked);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or DatabaseAwayException)
        {
            // Given back; or the database is away, and the lease ends by itself. The fence tells what became of it.
        }
    }

    private async Task EndAsync()
    {
        if (Interlocked.Exchange(ref _renewing, null) is { } renewing)
        {
            await renewing.CancelAsync();
            renewing.Dispose();
        }

        if (IsOver || IsUnsaved) return;
        try
        {
            await fleet.ReleaseAsync(account, fence, CancellationToken.None);
            IsOver = true;
        }
        catch (Exception ended) when (ended is DatabaseAwayException or ObjectDisposedException)
        {
            // It ends by itself.
        }
    }
}
