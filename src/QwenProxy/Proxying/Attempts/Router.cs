using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net.Http.Headers;
using Microsoft.Extensions.Primitives;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>3 Route: from a model's name to the accounts that may serve it, over the configuration of the moment and how the accounts are doing.</summary>
internal sealed class Router(ProxySnapshot first, TimeProvider time, Random random)
{
    private RouteTable _table = TableOf(first);
    private ProxySnapshot _tableOf = first;

    public AccountPool Pool { get; } = PoolOf(first);

    public void Apply(ProxySnapshot snapshot)
    {
        RouteTable table = TableOf(snapshot);
        Pool.ConfigureSlots(snapshot.Accounts, snapshot.Limits.QueuedRequests);
        Pool.ConfigureQuotas(snapshot.Accounts);
        Pool.Configure(snapshot.Breaker.Failures, TimeSpan.FromSeconds(snapshot.Breaker.OpenSeconds), time.GetUtcNow());
        _tableOf = snapshot;
        Volatile.Write(ref _table, table);
    }

    /// <summary>Forgets everything held against an account.</summary>
    public void Reset(string account, bool keepIsolated = false) => Pool.Reset(account, time.GetUtcNow(), keepIsolated);

    public RouteTable Table => Volatile.Read(ref _table);

    /// <summary>Opens the way of one request. Its account list is that of the configuration the request began with.</summary>
    public RouteSession Open(Exchange exchange, string model, ReadOnlyMemory<byte> body, ReadOnlySpan<byte> messages)
    {
        RouteTable table = TableFor(exchange);
        RoutePlan plan = model.Length > 0 ? table.Resolve(model) : AnyModel(table);
        // What stands in for a model must be allowed as well as the model.
        if (exchange.Client is { Limits: { Models.IsEmpty: false } limits }) plan = plan with { Models = [.. plan.Models.Where((m, i) => i == 0 || limits.Allows(m.Model, m.Model))] };
        // Where there is no choice there is nothing to keep a conversation at.
        ulong? affinity = plan.Models.Any(m => m.Accounts.Length > 1) ? AffinityKey.From(name => Header(exchange, name), messages) : null;
        RetrySnapshot retry = exchange.Snapshot.Retry;
        AttemptPolicy policy = new(new AttemptLimits(retry.MaxAttempts, TimeSpan.FromSeconds(retry.MaxWaitSeconds)), random);
        return new RouteSession(exchange, Pool, policy, plan, affinity, FirstTokenRule.EstimateTokens(body.Length));
    }

    /// <summary>The model that a client's name stands for.</summary>
    public string ModelOf(Exchange exchange, string asked) => asked.Length == 0 ? "" : TableFor(exchange).Resolve(asked).Model;

    private static AccountPool PoolOf(ProxySnapshot snapshot)
    {
        AccountPool pool = new(snapshot.Breaker.Failures, TimeSpan.FromSeconds(snapshot.Breaker.OpenSeconds));
        pool.ConfigureSlots(snapshot.Accounts, snapshot.Limits.QueuedRequests);
        pool.ConfigureQuotas(snapshot.Accounts);
        return pool;
    }

    private RouteTable TableFor(Exchange exchange) => ReferenceEquals(exchange.Snapshot, _tableOf) ? Table : TableOf(exchange.Snapshot);

    private static RouteTable TableOf(ProxySnapshot snapshot) => new(snapshot.Accounts, snapshot.Models.Aliases, snapshot.Models.Fallbacks);

    /// <summary>A request that names no model (a file upload, a list) may go to any account.</summary>
    private static RoutePlan AnyModel(RouteTable table) => new("", "", table.Accounts.IsEmpty ? [] : [new ModelAccounts("", table.Accounts)]);

    private static string? Header(Exchange exchange, string name) =>
        exchange.Http.Request.Headers.TryGetValue(name, out StringValues value) && value.Count > 0 ? value[0] : null;
}

/// <summary>The way of one request through the accounts: what was tried, what is leased now, what comes next.</summary>
internal sealed class RouteSession(
    Exchange exchange, AccountPool pool, AttemptPolicy policy, RoutePlan plan, ulong? affinity, long promptTokens) : IDisposable
{
    private readonly QuotaClaim _claim = new(exchange.ClientName ?? "", exchange.Client?.Limits.Priority ?? 0, promptTokens);
    private AttemptHistory _history = new();
    private Func<IReadOnlyList<ModelRoute>, IReadOnlyList<ModelRoute>>? _narrow;
    private Lease? _lease;
    private Lease? _hedge;
    private volatile bool _isOver;
    private string? _heldSlot;
    private TimeSpan _queued;

    /// <summary>Why the last attempt failed, for the log.</summary>
    public string LastFailure => _history.Last is { } last ? $"{last.Error.Kind} at {last.Account}" : "";

    /// <summary>Whom to ask next, or what to tell the client.</summary>
    public NextStep Next()
    {
        if (exchange.Snapshot.Accounts.IsEmpty) return new NextStep.GiveUp(OwnErrors.NoAccount());
        if (plan.IsEmpty) return new NextStep.GiveUp(OwnErrors.ModelNotFound(exchange.AskedModel));
        DateTimeOffset now = exchange.Time.GetUtcNow();
        NextStep step = policy.Decide(_history, Routes(now), now);
        // A slot that is not used at once is somebody else's.
        if (_heldSlot is not null && !(step is NextStep.Ask { Delay.Ticks: 0 } ask && ask.Account == _heldSlot)) ReturnSlot();
        return step;
    }

    /// <summary>
    /// The stream of an answer broke: whom to ask for the rest is decided anew, with attempts of its own, and another account is asked first
    /// where there is one.
    /// </summary>
    public void BeginResume(Func<IReadOnlyList<ModelRoute>, IReadOnlyList<ModelRoute>> narrow, AttemptTarget broken, ProxyError fault)
    {
        _narrow = narrow;
        _history = _history.ForResume(broken.Account.Name, broken.Ask.Model, fault);
    }

    /// <summary>What is asked for is the rest of an answer that broke.</summary>
    public bool IsResuming => _narrow is not null;

    /// <summary>This is not the model the client's name stands for, but one that stands in for it.</summary>
    public bool IsFallback(string model) => model != plan.Model;

    /// <summary>Takes the lease. False when the account can no longer be asked (see <see cref="AccountPool.TryLease"/>): then decide anew.</summary>
    public bool TryLease(NextStep.Ask ask, [NotNullWhen(true)] out AccountSnapshot? account)
    {
        account = plan.Find(ask.Account)!;
        bool holdsSlot = _heldSlot == ask.Account;
        if (holdsSlot) _heldSlot = null;
        return pool.TryLease(ask.Account, ask.Model, exchange.Time.GetUtcNow(), out _lease, holdsSlot, _claim, ask.IsLastResort);
    }

    /// <summary>Waits its turn for a slot of one of the accounts, in all no longer than is configured. The error, if any, is for the client.</summary>
    public async Task<ProxyError?> WaitForSlotAsync(NextStep.AwaitSlot full)
    {
        TimeSpan left = TimeSpan.FromSeconds(exchange.Snapshot.Limits.QueueSeconds) - _queued;
        long began = exchange.Time.GetTimestamp();
        if (left > TimeSpan.Zero) _heldSlot = await new SlotWait(pool, exchange.Client, full.Accounts).RunAsync(left, exchange.Time, exchange.Token);
        TimeSpan waited = exchange.Time.GetElapsedTime(began);
        _queued += waited;
        // The client left while the slot was granted, and with it this way is over.
        if (_isOver) ReturnSlot();
        if (_heldSlot is not null) return null;
        return OwnErrors.QueueFull(waited < left / 2 ? TimeSpan.Zero : _queued, pool.Waiting);
    }

    /// <summary>Takes a second lease beside the first, on another account; null when there is nobody for it.</summary>
    public NextStep.Ask? TryHedge(NextStep.Ask running, out AccountSnapshot? account)
    {
        account = null;
        DateTimeOffset now = exchange.Time.GetUtcNow();
        if (policy.Hedge(_history, Routes(now), running) is not { } ask || !pool.TryLease(ask.Account, ask.Model, now, out _hedge, claim: _claim)) return null;
        account = plan.Find(ask.Account)!;
        return ask;
    }

    /// <summary>One of two attempts answers. The other is called off without blame.</summary>
    public void HedgeDecided(bool hedgeWins)
    {
        Lease loser = hedgeWins ? _lease! : _hedge!;
        if (hedgeWins) _lease = _hedge;
        _hedge = null;
        _history.Withdrawn(loser.Model);
        loser.Dispose();
    }

    /// <summary>One of two attempts failed; the other goes on alone.</summary>
    public void HalfFailed(bool hedgeFailed, ProxyError error)
    {
        Lease other = hedgeFailed ? _lease! : _hedge!;
        if (hedgeFailed) _lease = _hedge;
        _hedge = null;
        Failed(error);
        _lease = other;
    }

    public TimeSpan FirstTokenDeadline(NextStep.Ask ask)
    {
        TimeoutsSnapshot timeouts = exchange.Snapshot.Timeouts;
        return FirstTokenRule.Deadline(timeouts.FirstToken, ask.AnotherCouldServe, promptTokens, timeouts.Idle);
    }

    /// <summary>Upstream begins to answer. What its headers tell of the plan is taken over.</summary>
    public void Began(HttpResponseMessage response)
    {
        if (_lease is not { } lease) return;
        lease.HasBegun = true;
        pool.TellQuota(lease.Account, lease.Model, name => Number(response, name), exchange.Time.GetUtcNow());
    }

    /// <param name="tokens">What upstream counted; null when it did not tell.</param>
    public void Succeeded(TokenCounts? tokens = null) => Settle(null, tokens);

    /// <summary>The attempt failed: reported by blame to breaker and cooldowns, and remembered for the next decision.</summary>
    public void Failed(ProxyError error, TokenCounts? tokens = null)
    {
        if (_lease is not { } lease) return;
        _history.Failed(lease.Account, lease.Model, error);
        exchange.NoteFailure(new FailedAttempt(lease.Account, lease.Model, error));
        Settle(error, tokens);
    }

    /// <summary>An attempt without verdict (the client left) holds nothing against the account.</summary>
    public void Dispose()
    {
        _lease?.Dispose();
        _hedge?.Dispose();
        _isOver = true;
        ReturnSlot();
    }

    private void ReturnSlot()
    {
        if (Interlocked.Exchange(ref _heldSlot, null) is { } held) pool.ReturnSlot(held);
    }

    private IReadOnlyList<ModelRoute> Routes(DateTimeOffset now)
    {
        IReadOnlyList<ModelRoute> routes = pool.View(plan, affinity, now, _heldSlot, _claim);
        return _narrow is null ? routes : _narrow(routes);
    }

    private static long? Number(HttpResponseMessage response, string header) =>
        response.Headers.NonValidated.TryGetValues(header, out HeaderStringValues values) && long.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;

    private void Settle(ProxyError? error, TokenCounts? tokens)
    {
        if (_lease is not { } lease) return;
        _lease = null;
        Core.Accounts.Settlement change = lease.Settle(error, exchange.Time.GetUtcNow(), tokens);
        if (change.Breaker is { } state) RequestLog.Breaker(exchange.Instruments.Logger, lease.Account, lease.Model, state.ToString());
        if (change.Cooldown is { } cooldown) RequestLog.Cooldown(exchange.Instruments.Logger, lease.Account, cooldown.Model ?? "*", cooldown.Until, cooldown.Kind.ToString());
        foreach (QuotaStanding mark in change.Marks) RequestLog.QuotaMark(exchange.Instruments.Logger, mark, exchange.Time.LocalTimeZone);
    }
}
