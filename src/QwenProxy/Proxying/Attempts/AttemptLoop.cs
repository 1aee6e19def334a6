using System.Buffers;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>4 Lease, 5 Authorize and 6 Send, as often as the attempt policy allows, until one attempt begins to answer.</summary>
internal sealed class AttemptLoop(AccountAuthorizer authorizer, Exchange exchange, RouteSession route) : IAsyncDisposable
{
    private const int MostRecoveries = 2;

    private HedgedAttempts? _hedged;

    /// <summary>Sends by <paramref name="send"/>, which returns once upstream has said something or has failed.</summary>
    /// <param name="send">One attempt; its token ends with the request, or when another attempt has won.</param>
    /// <param name="hedgeAfter">Silence after which a second account is asked in parallel; zero for never.</param>
    public async Task<AttemptOutcome<T>> RunAsync<T>(Func<AttemptTarget, CancellationToken, Task<AttemptOutcome<T>>> send, TimeSpan hedgeAfter)
        where T : class, IAttemptAnswer
    {
        while (true)
        {
            NextStep step = route.Next();
            if (step is NextStep.GiveUp end) return end.Error;
            if (step is NextStep.AwaitSlot full)
            {
                long queued = exchange.Time.GetTimestamp();
                ProxyError? refused = await WithKeepAliveAsync(route.WaitForSlotAsync(full));
                exchange.NoteStep(StepKind.Queue, queued, error: refused);
                if (refused is not null) return refused;
                continue;
            }

            NextStep.Ask ask = (NextStep.Ask)step;
            if (ask.Delay > TimeSpan.Zero)
            {
                RequestLog.Wait(exchange.Instruments.Logger, exchange.RequestId, Math.Round(ask.Delay.TotalSeconds, 2), route.LastFailure);
                long paused = exchange.Time.GetTimestamp();
                await WithKeepAliveAsync(DelayAsync(ask.Delay));
                exchange.NoteStep(StepKind.Pause, paused, ask.Account);
            }

            // 4 Lease. When another request took a half-open breaker's one probe first, or heard a time named, the next step is decided anew.
            if (!route.TryLease(ask, out AccountSnapshot? account)) continue;
            AttemptOutcome<T> outcome = await WithKeepAliveAsync(hedgeAfter > TimeSpan.Zero
                ? HedgedAsync(account, ask, hedgeAfter, send)
                : AttemptAsync(account, ask, send, exchange.Token));
            if (outcome.Error is not { } error) return outcome;
            route.Failed(error);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_hedged is not null) await _hedged.DisposeAsync();
    }

    private Task<AttemptOutcome<T>> HedgedAsync<T>(AccountSnapshot account, NextStep.Ask ask, TimeSpan after, Func<AttemptTarget, CancellationToken, Task<AttemptOutcome<T>>> send)
        where T : class, IAttemptAnswer
    {
        _hedged ??= new HedgedAttempts(exchange, route);
        return _hedged.RunAsync(account, ask, after, (who, what, token) => AttemptAsync(who, what, send, token));
    }

    /// <summary>
    /// One account's turn: mostly one call. Another is made at once when upstream refuses a token that can be renewed (once more when the new one ended
    /// too although it had served), or cannot be asked in this way but in another; each call is an attempt of its own, for that is what it costs.
    /// </summary>
    private async Task<AttemptOutcome<T>> AttemptAsync<T>(
        AccountSnapshot account, NextStep.Ask ask, Func<AttemptTarget, CancellationToken, Task<AttemptOutcome<T>>> send, CancellationToken cancellationToken)
        where T : class, IAttemptAnswer
    {
        // 5 Authorize
        Authorization authorization = await authorizer.AuthorizeAsync(account, cancellationToken);
        int recoveries = 0;
        while (true)
        {
            AttemptOutcome<T> outcome = await CallAsync(account, ask, authorization, send, cancellationToken);
            if (outcome.AsksAgain) continue;
            if (authorization.Error is not null) return outcome;
            if (outcome.Error is not { } error)
            {
                authorizer.NoteServed(account, authorization);
                return outcome;
            }

            if (recoveries == MostRecoveries || !await authorizer.RecoverAsync(account, authorization, error, again: recoveries > 0, cancellationToken)) return outcome;
            recoveries++;
            Authorization renewed = await authorizer.AuthorizeAsync(account, cancellationToken);
            if (renewed.Error is not null) return outcome;
            authorization = renewed;
        }
    }

    private async Task<AttemptOutcome<T>> CallAsync<T>(
        AccountSnapshot account, NextStep.Ask ask, Authorization authorization, Func<AttemptTarget, CancellationToken, Task<AttemptOutcome<T>>> send, CancellationToken cancellationToken)
        where T : class, IAttemptAnswer
    {
        int number = ++exchange.Attempts;
        exchange.Account = account.Name;
        exchange.ServedModel = ask.Model;
        exchange.IsOnFallback = route.IsFallback(ask.Model);

        long began = exchange.Time.GetTimestamp();
        ModelCall call = new(GenAi.OperationOf(exchange.Path), account.Profile.Name, ask.Model, authorization.BaseUrl ?? account.BaseUrl);
        AttemptTelemetry attempt = new(exchange.Instruments, account, call, number, route.IsResuming);
        AttemptOutcome<T> outcome = default;
        try
        {
            outcome = authorization.Error is { } refused ? refused : await SendAsync(account, ask, authorization, send, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            exchange.NoteStep(StepKind.Attempt, began, account.Name, ask.Model, said: "withdrawn");
            throw;
        }
        finally
        {
            if (outcome.Answer is null && outcome.Error is null) attempt.Dispose();
        }

        Told(attempt, outcome);
        exchange.NoteStep(StepKind.Attempt, began, account.Name, ask.Model, outcome.Error);
        string said = outcome.Error is { } error ? $"{error.Kind} {error.Status}" : "answers";
        RequestLog.Attempt(exchange.Instruments.Logger, exchange.RequestId, number, account.Name, ask.Model, said);
        exchange.Instruments.Metrics.AttemptEnded(account.Name, outcome.Error is { } told ? ErrorSummary.Snake(told.Kind) : "ok");
        return outcome;
    }

    /// <summary>A failure ends the attempt here; what answers keeps it up to its own end.</summary>
    private static void Told<T>(AttemptTelemetry attempt, AttemptOutcome<T> outcome)
        where T : class, IAttemptAnswer
    {
        if (outcome.Answer is not { } answer)
        {
            attempt.End(outcome.Error);
            return;
        }

        answer.Attempt = attempt;
        attempt.Began(answer.IsStream);
    }

    /// <summary>6 Send. Nothing that upstream says of a failure goes further before secrets are taken out of it.</summary>
    private async Task<AttemptOutcome<T>> SendAsync<T>(
        AccountSnapshot account, NextStep.Ask ask, Authorization authorization, Func<AttemptTarget, CancellationToken, Task<AttemptOutcome<T>>> send, CancellationToken cancellationToken)
        where T : class, IAttemptAnswer
    {
        exchange.Sends(authorization.Token);
        AttemptOutcome<T> outcome = await send(new AttemptTarget(account, ask, authorization.BaseUrl!, authorization.Token), cancellationToken);
        return outcome.Error is { } error ? outcome with { Error = exchange.Secrets.Hide(error) } : outcome;
    }

    private async Task<bool> DelayAsync(TimeSpan delay)
    {
        await Task.Delay(delay, exchange.Time, exchange.Token);
        return true;
    }

    /// <summary>
    /// While upstream has said nothing, a streaming client hears a keep-alive now and then. The first one commits the status but not the answer:
    /// attempts go on behind it.
    /// </summary>
    private async Task<TResult> WithKeepAliveAsync<TResult>(Task<TResult> work)
    {
        if (exchange.Answer is not { IsStream: true } answer) return await work;
        while (true)
        {
            try
            {
                return await work.WaitAsync(exchange.Snapshot.Timeouts.KeepAlive, exchange.Time);
            }
            catch (TimeoutException) when (!work.IsCompleted)
            {
                ResponseHeads.WriteStream(exchange, upstream: null);
                exchange.Output.Write(answer.KeepAlive.Span);
                await exchange.Output.FlushAsync(exchange.Token);
            }
        }
    }
}
