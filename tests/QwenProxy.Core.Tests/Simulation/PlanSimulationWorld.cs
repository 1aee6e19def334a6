using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Quotas;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>One request to come.</summary>
internal sealed record PlannedRequest(TimeSpan After, string Client, int Priority, long Prompt, long Tokens, string Model)
{
    public QuotaClaim Claim => new(Client, Priority, Prompt);
}

/// <summary>Everything a seed decides: accounts with plans and slots, clients, when they ask, what goes wrong, when the program is killed.</summary>
internal sealed class PlanSimulationWorld
{
    private static readonly FaultKind[] s_faults = [FaultKind.ServerError, FaultKind.RateLimited, FaultKind.Reset, FaultKind.InvalidRequest, FaultKind.ConnectFailed, FaultKind.ConcurrencyLimited];

    public PlanSimulationWorld(Random random)
    {
        Random = random;
        Accounts = [.. Enumerable.Range(0, 1 + random.Next(3)).Select(NewAccount)];
        foreach (AccountSnapshot account in Accounts) Upstreams[account.Name] = new TrueQuota(account.Quota!.Windows, isHonest: random.Next(3) > 0, random);
        Span = TimeSpan.FromMinutes(((double[])[10, 600, 4_320, 57_600])[random.Next(4)]);
        int clients = 1 + random.Next(4);
        int[] priorities = [.. Enumerable.Range(0, clients).Select(_ => random.Next(3) - 1)];
        double burst = random.NextDouble();
        Requests =
        [
            .. Enumerable.Range(0, 20 + random.Next(100)).Select(_ =>
            {
                int client = random.Next(clients);
                TimeSpan after = random.NextDouble() < burst ? TimeSpan.FromSeconds(random.Next(30)) : Span * random.NextDouble();
                return new PlannedRequest(after, $"c{client}", priorities[client], random.Next(200), random.Next(1000), random.Next(5) == 0 ? "n" : "m");
            }),
        ];
        Kills = [.. Enumerable.Range(0, random.Next(3)).Select(_ => random.Next(2) == 0 ? TimeSpan.FromSeconds(random.Next(60)) : Span * random.NextDouble())];
        Fails = ((double[])[0, 0.05, 0.4])[random.Next(3)];
        QueueLength = random.Next(4) == 0 ? 3 : 1000;
    }

    public Random Random { get; }

    public ImmutableArray<AccountSnapshot> Accounts { get; }

    public Dictionary<string, TrueQuota> Upstreams { get; } = [];

    public TimeSpan Span { get; }

    public ImmutableArray<PlannedRequest> Requests { get; }

    public ImmutableArray<TimeSpan> Kills { get; }

    public double Fails { get; }

    public int QueueLength { get; }

    public AccountSnapshot Account(string name) => Accounts.First(a => a.Name == name);

    public FaultKind? DrawFault() => Random.NextDouble() < Fails ? s_faults[Random.Next(s_faults.Length)] : null;

    private AccountSnapshot NewAccount(int index)
    {
        List<QuotaRule> windows = [];
        if (Random.Next(3) > 0) windows.Add(new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Hours) { Hours = 5, Limit = 1 + Random.Next(30) });
        if (Random.Next(2) == 0) windows.Add(new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = 1 + Random.Next(60) });
        if (Random.Next(3) == 0) windows.Add(new QuotaRule(QuotaUnit.Tokens, QuotaPeriod.Day) { Limit = 500 + Random.Next(20_000) });
        if (Random.Next(3) == 0) windows.Add(new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Month) { Limit = 5 + Random.Next(60), MonthStarts = 1 + Random.Next(31) });
        if (Random.Next(4) == 0) windows.Add(new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Day) { Limit = 1 + Random.Next(20), EachModel = true });
        QuotaReserve? reserve = Random.Next(3) > 0 ? null : Random.Next(2) == 0 ? new QuotaReserve(10 + Random.Next(60), ["c0"], null) : new QuotaReserve(10 + Random.Next(60), [], -1);
        return new AccountSnapshot
        {
            Name = $"a{index}",
            Profile = Profiles.Generic,
            Priority = Random.Next(2),
            MaxConcurrent = Random.Next(2) == 0 ? 1 + Random.Next(4) : null,
            Quota = new QuotaSettings { Windows = [.. windows], Reserve = reserve },
        };
    }
}

/// <summary>
/// What upstream itself counts, each call with its moment and without any grains. One that is not honest allows other limits than are stated: others use
/// the plan too, or it is larger.
/// </summary>
internal sealed class TrueQuota
{
    private readonly List<TakenCall> _taken = [];
    private readonly ImmutableArray<QuotaRule> _rules;

    public TrueQuota(ImmutableArray<QuotaRule> stated, bool isHonest, Random random)
    {
        IsHonest = isHonest;
        _rules = isHonest ? stated : [.. stated.Select(r => r with { Limit = Math.Max(1, (long)(r.Limit!.Value * (0.5 + random.NextDouble()))) })];
    }

    public bool IsHonest { get; }

    /// <summary>Whether it takes a call on; if not, what it says and when it has room again, where its calendar tells that.</summary>
    public (string Words, DateTimeOffset? Reset)? Refuses(string model, DateTimeOffset now)
    {
        foreach (QuotaRule rule in _rules)
        {
            if (Used(rule, model, now) < rule.Limit) continue;
            string words = rule.EachModel ? "Free allocated quota exceeded." : rule.Period switch
            {
                QuotaPeriod.Hours => "hour allocated quota exceeded",
                _ => $"{rule.Name} allocated quota exceeded",
            };
            return (words, rule.Around(now)?.End);
        }

        return null;
    }

    public long Used(QuotaRule rule, string? model, DateTimeOffset now)
    {
        DateTimeOffset from = rule.Around(now)?.Start ?? now - rule.Length;
        IEnumerable<TakenCall> inside = _taken.Where(t => (rule.Slides ? t.At > from : t.At >= from) && (!rule.EachModel || t.Model == model));
        return rule.Counts == QuotaUnit.Requests ? inside.Count() : inside.Sum(t => t.Tokens);
    }

    /// <summary>Counts a call at its beginning; its tokens are known at its end.</summary>
    public TakenCall Take(string model, DateTimeOffset now)
    {
        TakenCall call = new(now, model);
        _taken.Add(call);
        return call;
    }
}

/// <summary>A call that upstream took on.</summary>
internal sealed class TakenCall(DateTimeOffset at, string model)
{
    public DateTimeOffset At => at;

    public string Model => model;

    public long Tokens { get; set; }
}
