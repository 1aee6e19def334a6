using System.Buffers;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>A mistake put into the driver on purpose, to see that the rules would find it.</summary>
internal enum PlanSabotage
{
    None,

    /// <summary>Begins with empty counts after a restart.</summary>
    LoseCounts,

    /// <summary>Asks in everybody's name as the one for whom a part is kept.</summary>
    SpendReserve,

    /// <summary>Asks an account that is used up as if it were not.</summary>
    IgnoreWall,

    /// <summary>Gives a slot back that it has not been given.</summary>
    FreeTwice,

    /// <summary>Holds calls that upstream refused to have been taken on.</summary>
    CountRefusals,
}

/// <summary>
/// Plans, slots, the queue of clients and the attempt policy as a server drives them, over minutes or weeks, with restarts in which calls that run are lost.
/// One seed decides everything.
/// </summary>
internal sealed class PlanSimulation
{
    private const int MaxSteps = 60_000;
    private readonly PriorityQueue<Action, (DateTimeOffset When, int Order)> _events = new();
    private readonly HashSet<string> _countedAnew = [];
    private readonly List<PlanRequest> _requests = [];
    private int _order;
    private int _waits;

    public PlanSimulation(int seed, PlanSabotage sabotage = PlanSabotage.None, Action<string>? trace = null)
    {
        Random random = new((int)((uint)seed * 2654435761));
        World = new PlanSimulationWorld(random);
        Sabotage = sabotage;
        Rules = new PlanRules(this);
        Policy = new AttemptPolicy(new AttemptLimits(4, TimeSpan.FromSeconds(20)), random);
        Pool = NewPool();
        Trace = trace ?? (static _ => { });
    }

    public PlanSimulationWorld World { get; }

    public PlanSabotage Sabotage { get; }

    public PlanRules Rules { get; }

    public AttemptPolicy Policy { get; }

    public AccountPool Pool { get; private set; }

    public Action<string> Trace { get; }

    public DateTimeOffset Now { get; private set; } = Simulation.Start;

    public void Run()
    {
        foreach (PlannedRequest planned in World.Requests)
        {
            PlanRequest request = new(this, planned, _requests.Count);
            _requests.Add(request);
            After(planned.After, request.Begin);
        }

        foreach (TimeSpan kill in World.Kills) After(kill, Kill);
        for (int step = 0; _events.TryDequeue(out Action? next, out (DateTimeOffset When, int Order) at); step++)
        {
            Rules.Hold(step < MaxSteps, "the requests come to an end");
            Now = at.When;
            next();
        }

        foreach (PlanRequest request in _requests) Rules.Hold(request.Ends == 1, $"request {request.Number} ends once, not {request.Ends} times");
        Rules.CheckAtRest();
    }

    /// <summary>A number for each wait, in their order.</summary>
    public int NextWait() => ++_waits;

    public void After(TimeSpan delay, Action next) => _events.Enqueue(next, (Now + delay, _order++));

    /// <summary>Upstream served a call beyond what was counted: by the rule, the count began anew and is no longer upstream's.</summary>
    public void CountsAnew(string account) => _countedAnew.Add(account);

    public bool WasCountedAnew(string account) => _countedAnew.Contains(account);

    /// <summary>The program dies as by a power cut and starts again with what its file says.</summary>
    private void Kill()
    {
        ArrayBufferWriter<byte> file = new();
        PoolRecordJson.Write(Pool.Export(Now, withCounts: true), file);
        int running = 0;
        foreach (PlanRequest request in _requests.Where(r => r.IsUnderWay))
        {
            running += request.IsRunning ? 1 : 0;
            request.Die();
        }

        Trace($"{Now:MM-dd HH:mm:ss} killed while {running} run");
        Rules.Killed(running);
        Pool = NewPool();
        Rules.Hold(PoolRecordJson.TryRead(file.WrittenSpan, out PoolRecord record), "the file can be read");
        Pool.Import(Sabotage == PlanSabotage.LoseCounts ? record with { Quotas = [] } : record, Now);
        Rules.CheckCounts();
    }

    private AccountPool NewPool()
    {
        AccountPool pool = new(5, TimeSpan.FromSeconds(5));
        pool.ConfigureSlots(World.Accounts, World.QueueLength);
        pool.ConfigureQuotas(World.Accounts);
        return pool;
    }
}
