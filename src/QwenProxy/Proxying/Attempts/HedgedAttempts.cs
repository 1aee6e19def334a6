using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// One attempt, and a second one at another account when the first has said nothing for a while. The first to answer wins; the other is
/// cancelled at once, without blame. It ends before the request does, for it reads the request's body.
/// </summary>
internal sealed class HedgedAttempts(Exchange exchange, RouteSession route) : IAsyncDisposable
{
    private readonly List<CancellationTokenSource> _ends = [];
    private readonly List<Task> _losers = [];

    public async Task<AttemptOutcome<T>> RunAsync<T>(
        AccountSnapshot account, NextStep.Ask ask, TimeSpan after, Func<AccountSnapshot, NextStep.Ask, CancellationToken, Task<AttemptOutcome<T>>> attempt)
        where T : class, IAttemptAnswer
    {
        Contestant<T> first = Start(account, ask, attempt);
        try
        {
            return await first.Work.WaitAsync(after, exchange.Time);
        }
        catch (TimeoutException) when (!first.Work.IsCompleted)
        {
            // It is silent: that is what the hedge is for.
        }

        if (route.TryHedge(ask, out AccountSnapshot? other) is not { } second) return await first.Work;
        RequestLog.Hedge(exchange.Instruments.Logger, exchange.RequestId, account.Name, Math.Round(after.TotalSeconds, 3), other!.Name);
        return await RaceAsync(first, Start(other, second, attempt));
    }

    /// <summary>Waits for the losers, which have been told to end.</summary>
    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_losers);
        foreach (CancellationTokenSource end in _ends) end.Dispose();
    }

    private async Task<AttemptOutcome<T>> RaceAsync<T>(Contestant<T> first, Contestant<T> second)
        where T : class, IAttemptAnswer
    {
        bool hedgeIsFirst = await Task.WhenAny(first.Work, second.Work) == second.Work;
        (Contestant<T> quick, Contestant<T> slow) = hedgeIsFirst ? (second, first) : (first, second);
        AttemptOutcome<T> outcome;
        try
        {
            outcome = await quick.Work;
        }
        catch
        {
            // The request is over: nobody is left to win.
            _losers.Add(WithdrawAsync(slow));
            throw;
        }

        // What one account says of the request itself, the other would say too.
        bool ends = outcome.Error is not { } error || !ErrorPolicy.For(error.Kind).Elsewhere;
        if (!ends)
        {
            route.HalfFailed(hedgeFailed: hedgeIsFirst, outcome.Error!);
            exchange.Account = slow.Account.Name;
            return await slow.Work;
        }

        route.HedgeDecided(hedgeWins: hedgeIsFirst);
        exchange.Account = quick.Account.Name;
        exchange.Instruments.Metrics.AttemptEnded(slow.Account.Name, "withdrawn");
        _losers.Add(WithdrawAsync(slow));
        return outcome;
    }

    private Contestant<T> Start<T>(AccountSnapshot account, NextStep.Ask ask, Func<AccountSnapshot, NextStep.Ask, CancellationToken, Task<AttemptOutcome<T>>> attempt)
        where T : class, IAttemptAnswer
    {
        CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(exchange.Token);
        _ends.Add(end);
        return new Contestant<T>(account, attempt(account, ask, end.Token), end);
    }

    private async Task WithdrawAsync<T>(Contestant<T> loser)
        where T : class, IAttemptAnswer
    {
        await loser.End.CancelAsync();
        try
        {
            // It may have answered in the same moment.
            (await loser.Work).Answer?.Dispose();
        }
        catch (OperationCanceledException)
        {
            // As it was told.
        }
        catch (Exception fault)
        {
            // A fault of this proxy's own in an attempt that is not needed any more must not break the answer that is.
            RequestLog.Internal(exchange.Instruments.Logger, fault, exchange.RequestId);
        }
    }

    private readonly record struct Contestant<T>(AccountSnapshot Account, Task<AttemptOutcome<T>> Work, CancellationTokenSource End)
        where T : class, IAttemptAnswer;
}
