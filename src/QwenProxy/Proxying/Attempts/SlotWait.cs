using QwenProxy.Core.Accounts;
using QwenProxy.Core.Clients;

namespace QwenProxy.Proxying.Attempts;

/// <summary>One request's wait for a free slot of one of some accounts.</summary>
internal sealed class SlotWait(AccountPool pool, Client? client, IReadOnlyList<string> accounts) : ISlotWaiter
{
    private readonly TaskCompletionSource<string?> _told = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Client => client?.Name ?? "";

    public int Priority => client?.Limits.Priority ?? 0;

    public bool Accepts(string account) => accounts.Contains(account);

    public void Grant(string account) => _told.TrySetResult(account);

    public void Evict(int waiting) => _told.TrySetResult(null);

    /// <summary>The account of which a slot is now held; null when there was no room to wait, or none became free in time.</summary>
    public async Task<string?> RunAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!pool.TryWait(this, accounts)) return null;
        try
        {
            return await _told.Task.WaitAsync(limit, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            // What was granted in the last moment is taken.
            return pool.StopWaiting(this) ? null : await _told.Task;
        }
        catch (OperationCanceledException)
        {
            if (!pool.StopWaiting(this) && await _told.Task is { } granted) pool.ReturnSlot(granted);
            throw;
        }
    }
}
