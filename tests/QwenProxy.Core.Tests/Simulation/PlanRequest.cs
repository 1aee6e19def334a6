using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>One request from its first decision to its end, as the server's loops carry it out: decide, wait for a slot, lease, ask, settle.</summary>
internal sealed class PlanRequest(PlanSimulation simulation, PlannedRequest planned, int number) : ISlotWaiter
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly AttemptHistory _history = new();
    private readonly RoutePlan _plan = new RouteTable(simulation.World.Accounts, [], new Dictionary<string, System.Collections.Immutable.ImmutableArray<string>>()).Resolve(planned.Model);
    private IReadOnlyList<string> _waitsFor = [];
    private Lease? _lease;
    private string? _held;
    private bool _isWaiting;
    private bool _isSentAway;
    private bool _isDead;

    public int Number => number;

    public PlannedRequest Planned => planned;

    public int Ends { get; private set; }

    public int WaitNumber { get; private set; }

    public bool IsUnderWay => _isWaiting || _held is not null || _lease is not null || (Ends == 0 && _history.Failures.Count > 0);

    public bool IsRunning => _lease is not null;

    public string Client => planned.Client;

    public int Priority => planned.Priority;

    private QuotaClaim Claim => simulation.Sabotage == PlanSabotage.SpendReserve ? planned.Claim with { Client = "c0", Priority = -1 } : planned.Claim;

    public bool Accepts(string account) => _waitsFor.Contains(account);

    public bool WaitsFor(string account) => _isWaiting && Accepts(account);

    public void Grant(string account)
    {
        _isWaiting = false;
        _held = account;
        simulation.Rules.WaitsNoMore(this);
        simulation.Rules.Granted(this, account);
        simulation.After(TimeSpan.Zero, Next);
    }

    public void Evict(int waiting)
    {
        _isWaiting = false;
        _isSentAway = true;
        simulation.Rules.WaitsNoMore(this);
        simulation.After(TimeSpan.Zero, Next);
    }

    public void Begin() => Next();

    /// <summary>The program is gone, and with it everything that this request held.</summary>
    public void Die()
    {
        _isDead = true;
        (_lease, _held, _isWaiting) = (null, null, false);
        End("killed");
    }

    private void Next()
    {
        if (_isDead || Ends > 0) return;
        if (_isSentAway)
        {
            End("sent away");
            return;
        }

        AccountPool pool = simulation.Pool;
        NextStep step = simulation.Policy.Decide(_history, pool.View(_plan, null, simulation.Now, _held, Claim), simulation.Now);
        if (_held is { } held && !(step is NextStep.Ask { Delay.Ticks: 0 } now && now.Account == held))
        {
            _held = null;
            pool.ReturnSlot(held);
        }

        switch (step)
        {
            case NextStep.GiveUp end:
                simulation.Rules.Hold(end.Error.Status is not (429 or 503) || end.Error.RetryAfter is not null, "a 429 or 503 carries Retry-After");
                End(end.Error.Kind.ToString());
                break;
            case NextStep.AwaitSlot full:
                Wait(full.Accounts);
                break;
            case NextStep.Ask ask:
                simulation.After(ask.Delay, () => Ask(ask));
                break;
        }
    }

    private void Wait(IReadOnlyList<string> accounts)
    {
        _waitsFor = accounts;
        _isWaiting = true;
        int wait = WaitNumber = simulation.NextWait();
        simulation.Rules.Waits(this);
        if (!simulation.Pool.TryWait(this, accounts))
        {
            _isWaiting = false;
            simulation.Rules.WaitsNoMore(this);
            End("no room to wait");
            return;
        }

        if (!_isWaiting) return;
        simulation.Rules.Count("waits for a slot");
        simulation.After(s_patience, () =>
        {
            if (_isDead || !_isWaiting || WaitNumber != wait) return;
            simulation.Rules.Hold(simulation.Pool.StopWaiting(this), "who waits is in the queue");
            _isWaiting = false;
            simulation.Rules.WaitsNoMore(this);
            End("waited too long");
        });
    }

    private void Ask(NextStep.Ask ask)
    {
        if (_isDead || Ends > 0) return;
        bool holds = _held == ask.Account;
        if (holds) _held = null;
        QuotaClaim claim = Claim;
        bool isLast = ask.IsLastResort || simulation.Sabotage == PlanSabotage.IgnoreWall;
        if (!simulation.Pool.TryLease(ask.Account, ask.Model, simulation.Now, out _lease, holds, claim, isLast))
        {
            simulation.Rules.Count("lease refused, decided anew");
            Next();
            return;
        }

        bool isSpent = simulation.Pool.Quotas(simulation.Now).Any(q => q.Account == ask.Account && q.IsUsedUp);
        simulation.Rules.Asks(this, simulation.Sabotage == PlanSabotage.IgnoreWall ? ask with { IsLastResort = false } : ask);
        if (simulation.Sabotage == PlanSabotage.FreeTwice) simulation.Pool.ReturnSlot(ask.Account);
        Call(ask, _lease, isSpent);
    }

    private void Call(NextStep.Ask ask, Lease lease, bool isSpent)
    {
        TrueQuota upstream = simulation.World.Upstreams[ask.Account];
        TimeSpan took = TimeSpan.FromMilliseconds(100 + simulation.World.Random.Next(20_000));
        FaultKind? fault = simulation.World.DrawFault();
        ProxyError? error = fault is { } kind ? Resilience.World.Fail(kind) : null;
        DateTimeOffset? reset = null;
        TakenCall? taken = null;
        if (error is null || !ErrorPolicy.For(error.Kind).Refuses)
        {
            if (upstream.Refuses(ask.Model, simulation.Now) is { } refusal)
            {
                error = Resilience.World.Fail(FaultKind.QuotaExhausted) with { Message = refusal.Words };
                reset = refusal.Reset;
            }
            else
            {
                taken = upstream.Take(ask.Model, simulation.Now);
                if (isSpent) simulation.CountsAnew(ask.Account);
            }
        }

        simulation.Trace($"{simulation.Now:MM-dd HH:mm:ss.fff} request {number} of {planned.Client} asks {ask.Account}/{ask.Model}{(ask.IsLastResort ? " as a last resort" : "")}: {error?.Message ?? "answers"}");
        bool isRight = !simulation.WasCountedAnew(ask.Account);
        if (error is { Kind: FaultKind.QuotaExhausted }) simulation.CountsAnew(ask.Account);
        simulation.After(took, () =>
        {
            if (_isDead) return;
            if (taken is not null) taken.Tokens = error is null ? planned.Tokens : planned.Prompt;
            Settle(ask, lease, error, isRight, reset);
        });
    }

    private void Settle(NextStep.Ask ask, Lease lease, ProxyError? error, bool isRight, DateTimeOffset? reset)
    {
        _lease = null;
        if (simulation.Sabotage == PlanSabotage.CountRefusals) lease.HasBegun = true;
        lease.Settle(error, simulation.Now, error is null ? new TokenCounts(planned.Tokens, 0) : null);
        simulation.Rules.Ended(ask.Account);
        if (error is null)
        {
            simulation.Rules.Served(ask.Account, ask.Model);
            End("answered");
            return;
        }

        if (error.Kind == FaultKind.QuotaExhausted)
        {
            if (isRight) simulation.Rules.RefusedRightly(this, ask);
            simulation.Rules.Refused(ask, error.Message.StartsWith("Free", StringComparison.Ordinal), reset);
        }

        _history.Failed(ask.Account, ask.Model, error);
        Next();
    }

    private void End(string how)
    {
        Ends++;
        simulation.Rules.Count($"end: {how}");
    }
}
