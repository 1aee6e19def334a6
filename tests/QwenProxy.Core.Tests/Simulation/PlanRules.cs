using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>What must hold at every step with plans, slots and clients in turn, looked at from outside: from who was asked when, and from upstream's own count.</summary>
internal sealed class PlanRules(PlanSimulation simulation)
{
    private readonly Dictionary<string, int> _running = [];
    private readonly Dictionary<string, DateTimeOffset> _rests = [];
    private readonly Dictionary<string, DateTimeOffset> _asked = [];
    private readonly HashSet<PlanRequest> _looking = [];
    private readonly Dictionary<PlanRequest, Dictionary<string, int>> _passed = [];

    public Dictionary<string, int> Tally { get; } = [];

    /// <summary>Calls that ran when the program was killed: upstream may have counted them or not.</summary>
    public int Lost { get; private set; }

    public void Count(string what) => Tally[what] = Tally.GetValueOrDefault(what) + 1;

    public void Hold(bool holds, string rule)
    {
        if (!holds) throw new RuleBrokenException($"{simulation.Now:MM-dd HH:mm:ss.fff}: it does not hold that {rule}");
    }

    public void Asks(PlanRequest request, NextStep.Ask ask)
    {
        AccountSnapshot account = simulation.World.Account(ask.Account);
        _running[ask.Account] = _running.GetValueOrDefault(ask.Account) + 1;
        Count(ask.IsLastResort ? "last resort" : "attempt");
        Hold(account.MaxConcurrent is not { } most || _running[ask.Account] <= most, $"{ask.Account} runs {account.MaxConcurrent} at once at most");
        foreach (string key in (string[])[ask.Account, $"{ask.Account}/{ask.Model}"])
        {
            if (!ask.IsLastResort) Hold(!_rests.TryGetValue(key, out DateTimeOffset until) || simulation.Now >= until, "an account that is used up rests until its reset while another can serve");
        }

        // Once a day an account that is used up is looked at again.
        bool mayLook = _asked.TryGetValue(ask.Account, out DateTimeOffset last) && simulation.Now - last >= TimeSpan.FromHours(24);
        _asked[ask.Account] = simulation.Now;
        if (mayLook) _looking.Add(request);
        TrueQuota upstream = simulation.World.Upstreams[ask.Account];
        if (!upstream.IsHonest || simulation.WasCountedAnew(ask.Account)) return;
        foreach (QuotaRule rule in account.Quota!.Windows)
        {
            long used = upstream.Used(rule, ask.Model, simulation.Now);
            if (!ask.IsLastResort && !mayLook) Hold(used < rule.Limit, $"{ask.Account} is not asked beyond its {rule.Key} ({used} of {rule.Limit}) while another can serve");
            if (account.Quota.Reserve is { } reserve && !reserve.IsFor(request.Planned.Claim) && rule.Counts == QuotaUnit.Requests)
                Hold(used < rule.Limit * (100 - reserve.Percent) / 100m, $"the last {reserve.Percent} % of {ask.Account} are kept ({used} of {rule.Limit})");
        }
    }

    /// <summary>Upstream says that a quota is used up, and nothing was put right before.</summary>
    public void RefusedRightly(PlanRequest request, NextStep.Ask ask)
    {
        if (simulation.World.Upstreams[ask.Account].IsHonest) Hold(ask.IsLastResort || _looking.Remove(request), "an honest plan refuses nobody but a last resort and a look once a day");
    }

    public void Refused(NextStep.Ask ask, bool isOfModel, DateTimeOffset? reset)
    {
        Count("refused for its quota");
        DateTimeOffset look = simulation.Now.AddHours(24);
        if (reset is { } at) _rests[isOfModel ? $"{ask.Account}/{ask.Model}" : ask.Account] = at < look ? at : look;
    }

    public void Ended(string account) => _running[account]--;

    /// <summary>Upstream serves a call: what it was thought to rest for is over.</summary>
    public void Served(string account, string model)
    {
        _rests.Remove(account);
        _rests.Remove($"{account}/{model}");
    }

    public void Waits(PlanRequest request) => _passed[request] = [];

    public void WaitsNoMore(PlanRequest request) => _passed.Remove(request);

    /// <summary>A slot goes to a client. Whoever waits for it as the first of another client is passed over, and not twice.</summary>
    public void Granted(PlanRequest request, string account)
    {
        Count("slot granted");
        // Its client has had a turn: for what else it waits for, the count begins anew.
        foreach (PlanRequest other in _passed.Keys.Where(r => r.Planned.Client == request.Planned.Client)) _passed[other].Clear();
        foreach (IGrouping<string, PlanRequest> client in _passed.Keys.GroupBy(r => r.Planned.Client).Where(c => c.Key != request.Planned.Client).ToArray())
        {
            PlanRequest first = client.MinBy(r => r.WaitNumber)!;
            if (!first.WaitsFor(account)) continue;
            Dictionary<string, int> by = _passed[first];
            by[request.Planned.Client] = by.GetValueOrDefault(request.Planned.Client) + 1;
            Hold(by[request.Planned.Client] <= 1, $"a client that waits for {account} is passed over once at most by any other");
        }
    }

    public void Killed(int running)
    {
        Count("killed");
        if (running > 0) Count("killed while calls ran");
        Lost += running;
        _running.Clear();
        _passed.Clear();
    }

    /// <summary>The own count is upstream's, plus what ran when the program was killed and what a window that slides lets go of late.</summary>
    public void CheckCounts()
    {
        foreach (QuotaStanding standing in simulation.Pool.Quotas(simulation.Now))
        {
            TrueQuota upstream = simulation.World.Upstreams[standing.Account];
            QuotaRule rule = simulation.World.Account(standing.Account).Quota!.Windows.First(w => w.Name == standing.Window && w.EachModel == standing.Model is not null);
            if (!upstream.IsHonest || simulation.WasCountedAnew(standing.Account)) continue;
            long now = upstream.Used(rule, standing.Model, simulation.Now);
            long before = rule.Slides ? upstream.Used(rule, standing.Model, simulation.Now - (rule.Length / 60)) + now : now;
            long slack = rule.Counts == QuotaUnit.Requests ? Lost : Lost * 1000L;
            Hold(standing.Used >= now - (rule.Counts == QuotaUnit.Requests ? 0 : slack) && standing.Used <= before + slack, $"{standing.Account}'s {rule.Key} is counted right: {standing.Used}, upstream counted {now}");
            Count("count compared");
        }
    }

    public void CheckAtRest()
    {
        Hold(simulation.Pool.LeasesOut == 0 && simulation.Pool.Waiting == 0, "all leases come back and nobody waits for ever");
        foreach (AccountSnapshot account in simulation.World.Accounts) Hold(simulation.Pool.LoadOf(account.Name) == 0, "all slots come back");
        CheckCounts();
    }
}
