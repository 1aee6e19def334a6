using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>How one attempt goes.</summary>
/// <param name="Took">From Send to the first event, or to the failure.</param>
/// <param name="Refused">The failure in its place; null when it begins to answer.</param>
/// <param name="Streamed">From the first event to the end or the break.</param>
/// <param name="Broke">How the stream breaks; null when it is complete.</param>
/// <param name="BreakAt">Where it breaks, as a part of its events, from 0 to below 1.</param>
internal sealed record Course(TimeSpan Took, ProxyError? Refused, TimeSpan Streamed, ProxyError? Broke, double BreakAt);

/// <summary>Everything a seed decides: accounts and their troubles, the user's limits, what each model says.</summary>
internal sealed class SimulatedWorld
{
    private static readonly FaultKind[] Refusals =
    [
        FaultKind.InvalidKey, FaultKind.PermissionDenied, FaultKind.ClientGate, FaultKind.Billing, FaultKind.QuotaExhausted, FaultKind.RateLimited, FaultKind.RateLimited,
        FaultKind.ConcurrencyLimited, FaultKind.Overloaded, FaultKind.Overloaded, FaultKind.InvalidRequest, FaultKind.ContextTooLong, FaultKind.ContentFilter, FaultKind.ModelNotFound,
        FaultKind.RequestTooLarge, FaultKind.ServerError, FaultKind.ServerError, FaultKind.ConnectFailed, FaultKind.ConnectTimeout, FaultKind.Reset, FaultKind.FirstTokenTimeout, FaultKind.ProtocolError, FaultKind.Cut,
    ];

    private static readonly FaultKind[] Breaks = [FaultKind.Cut, FaultKind.Cut, FaultKind.IdleTimeout, FaultKind.ProtocolError, FaultKind.ServerError, FaultKind.RateLimited, FaultKind.ContentFilter];

    private readonly Dictionary<string, Temper> _tempers = [];

    public SimulatedWorld(Random random)
    {
        Random = random;
        int accounts = 1 + random.Next(4);
        Accounts = [.. Enumerable.Range(0, accounts).Select(i => new AccountSnapshot
        {
            Name = $"a{i}",
            Priority = random.Next(2),
            Models = random.Next(4) == 0 ? ["n"] : random.Next(3) == 0 ? ["m", "n"] : [],
            Profile = new UpstreamProfile("generic") { Prefill = random.Next(2) == 0 ? PrefillStyle.Partial : PrefillStyle.None, PrefillModels = ["*"] },
        })];
        foreach (AccountSnapshot account in Accounts) _tempers[account.Name] = new Temper(random);
        if (random.Next(2) == 0) Fallbacks["m"] = random.Next(3) == 0 ? ["n", "o"] : ["n"];
        Limits = new AttemptLimits(1 + random.Next(4), TimeSpan.FromSeconds(random.Next(21)));
        HedgeAfter = random.Next(3) == 0 ? TimeSpan.FromMilliseconds(1 + random.Next(3000)) : null;
        BreakerFailures = 1 + random.Next(6);
        BreakerOpen = TimeSpan.FromSeconds(1 + random.Next(20));
    }

    public Random Random { get; }

    public AccountSnapshot[] Accounts { get; }

    public Dictionary<string, ImmutableArray<string>> Fallbacks { get; } = [];

    public AttemptLimits Limits { get; }

    /// <summary>Null for no hedging.</summary>
    public TimeSpan? HedgeAfter { get; }

    public int BreakerFailures { get; }

    public TimeSpan BreakerOpen { get; }

    public AccountSnapshot Account(string name) => Accounts.First(a => a.Name == name);

    /// <summary>What this account's model says to every request. Most say the same, some something else, and those cannot go on for others.</summary>
    public Script Speaks(string account) => _tempers[account].Differs ? Script.Other : Script.Usual;

    public bool AllAgree => !_tempers.Values.Any(t => t.Differs);

    /// <summary>It answers 400 to a request that ends with the beginning of the answer, whatever its profile says.</summary>
    public bool RefusesPrefill(string account) => _tempers[account].RefusesPrefill;

    public Course Draw(string account, DateTimeOffset now)
    {
        Temper temper = _tempers[account];
        TimeSpan took = TimeSpan.FromMilliseconds(Random.Next(2000));
        if (temper.IsDown(now)) return new Course(TimeSpan.FromMilliseconds(5), Fault(temper.DownAs), default, null, 0);
        if (Random.NextDouble() < temper.Refuses)
        {
            FaultKind kind = Random.Next(2) == 0 ? temper.Favourite : Refusals[Random.Next(Refusals.Length)];
            return new Course(kind == FaultKind.FirstTokenTimeout ? TimeSpan.FromSeconds(10) : took, Fault(kind), default, null, 0);
        }

        TimeSpan streamed = TimeSpan.FromMilliseconds(Random.Next(20_000));
        ProxyError? broke = Random.NextDouble() < temper.Breaks ? Fault(Breaks[Random.Next(Breaks.Length)]) : null;
        return new Course(took, null, streamed, broke, Random.NextDouble());
    }

    private ProxyError Fault(FaultKind kind)
    {
        bool namesATime = kind is FaultKind.RateLimited or FaultKind.ConcurrencyLimited or FaultKind.Overloaded or FaultKind.ServerError or FaultKind.QuotaExhausted && Random.Next(2) == 0;
        return Resilience.World.Fail(kind, namesATime ? Random.Next(40) : null);
    }

    private sealed class Temper
    {
        private static readonly DateTimeOffset Start = Simulation.Start;
        private readonly (DateTimeOffset From, DateTimeOffset To) _down;

        public Temper(Random random)
        {
            double[] rates = [0, 0, 0.1, 0.4, 0.95];
            Refuses = rates[random.Next(rates.Length)];
            Breaks = rates[random.Next(rates.Length)];
            Favourite = Refusals[random.Next(Refusals.Length)];
            Differs = random.Next(8) == 0;
            RefusesPrefill = random.Next(3) == 0;
            DownAs = random.Next(2) == 0 ? FaultKind.ConnectFailed : FaultKind.Overloaded;
            DateTimeOffset from = Start.AddSeconds(random.Next(120));
            _down = random.Next(3) == 0 ? (from, from.AddSeconds(random.Next(60))) : (Start, Start);
        }

        public double Refuses { get; }

        public double Breaks { get; }

        public FaultKind Favourite { get; }

        public FaultKind DownAs { get; }

        public bool Differs { get; }

        public bool RefusesPrefill { get; }

        public bool IsDown(DateTimeOffset now) => now >= _down.From && now < _down.To;
    }
}
