using QwenProxy.Core.Accounts;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>A mistake put into the driver on purpose, to see that the rules would find it.</summary>
internal enum Sabotage
{
    None,

    /// <summary>Settles no failed attempt.</summary>
    LoseLeases,

    /// <summary>Asks once more after a failure that is final.</summary>
    RetryFinal,

    /// <summary>Does not wait before an attempt.</summary>
    SkipWaits,

    /// <summary>Holds a client that left against the account.</summary>
    BlameHangUps,

    /// <summary>Holds it against an account that another one answered before it.</summary>
    BlameLosers,

    /// <summary>Forgets that a withdrawn attempt has been one.</summary>
    ForgetLosers,

    /// <summary>Passes on a second stream without comparing it to the first.</summary>
    TrustResumes,

    /// <summary>Begins each resume with a wait budget of its own.</summary>
    ForgetWaits,

    /// <summary>Asks in spite of an open breaker.</summary>
    IgnoreBreaker,
}

/// <summary>
/// Pool, breakers, cooldowns, attempt policy, budgets and resume as a server drives them, for several requests at once, under a clock that
/// jumps from event to event. One seed decides everything: the same seed gives the same run, event by event.
/// </summary>
internal sealed class Simulation
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private const int MaxSteps = 20_000;
    private readonly PriorityQueue<Action, (DateTimeOffset When, int Order)> _events = new();
    private int _order;

    public Simulation(int seed, Sabotage sabotage = Sabotage.None, Action<string>? trace = null)
    {
        // Seeds that lie close together would give worlds that do, too.
        Random random = new((int)((uint)seed * 2654435761));
        World = new SimulatedWorld(random);
        Pool = new AccountPool(World.BreakerFailures, World.BreakerOpen);
        Policy = new AttemptPolicy(World.Limits, random);
        Sabotage = sabotage;
        Rules = new Rules(this);
        Trace = trace ?? (static _ => { });
    }

    public SimulatedWorld World { get; }

    public AccountPool Pool { get; }

    public AttemptPolicy Policy { get; }

    public Sabotage Sabotage { get; }

    public Rules Rules { get; }

    public Action<string> Trace { get; }

    public DateTimeOffset Now { get; private set; } = Start;

    /// <summary>Runs until every request has ended.</summary>
    /// <exception cref="RuleBrokenException">A rule does not hold.</exception>
    public void Run()
    {
        List<SimulatedRequest> requests = [];
        int count = 1 + World.Random.Next(12);
        for (int i = 0; i < count; i++)
        {
            SimulatedRequest request = new(this, i);
            requests.Add(request);
            int burst = World.Random.Next(3) == 0 ? 0 : World.Random.Next(150_000);
            After(TimeSpan.FromMilliseconds(burst), request.Begin);
            if (World.Random.Next(8) == 0) After(TimeSpan.FromMilliseconds(burst + World.Random.Next(20_000)), request.HangUp);
        }

        for (int step = 0; _events.TryDequeue(out Action? next, out (DateTimeOffset When, int Order) at); step++)
        {
            Rules.Hold(step < MaxSteps, "the requests come to an end");
            Now = at.When;
            next();
        }

        foreach (SimulatedRequest request in requests) Rules.Hold(request.Ends == 1, $"request {request.Number} ends once, not {request.Ends} times");
        Rules.CheckAtRest();
        foreach (SimulatedRequest request in requests) request.Dispose();
    }

    /// <summary>Calls back once the clock has come to it; at one moment in the order of the calls here.</summary>
    public void After(TimeSpan delay, Action next) => _events.Enqueue(next, (Now + delay, _order++));
}

/// <summary>A rule does not hold; the message says which.</summary>
internal sealed class RuleBrokenException(string message) : Exception(message);
