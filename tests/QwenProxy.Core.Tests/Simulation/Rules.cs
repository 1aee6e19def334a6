using System.Text.Json;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using QwenProxy.Core.Resume;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>What must hold at every step of every run, looked at from outside: from what was asked when, and what came of it.</summary>
internal sealed class Rules(Simulation simulation)
{
    private readonly Dictionary<(string Account, string Model), DateTimeOffset> _namedTimes = [];
    private readonly Dictionary<(string Account, string Model), DateTimeOffset> _probes = [];
    private readonly Dictionary<(string Account, string Model), int> _faultsInARow = [];
    private readonly Dictionary<SimulatedRequest, DateTimeOffset> _earliest = [];
    private int _leases;
    private BreakerRecord? _beforeLetOff;

    /// <summary>What happened how often: a run in which nothing happens proves nothing.</summary>
    public Dictionary<string, int> Tally { get; } = [];

    public void Count(string what) => Tally[what] = Tally.GetValueOrDefault(what) + 1;

    public void Hold(bool holds, string rule)
    {
        if (!holds) throw new RuleBrokenException($"{simulation.Now:mm:ss.fff}: it does not hold that {rule}");
    }

    public BreakerState? StateOf(string account, string model) => Breaker(account, model)?.State;

    /// <summary>The policy has chosen whom to ask.</summary>
    public void Decided(SimulatedRequest request, NextStep.Ask ask, IReadOnlyList<ModelRoute> routes)
    {
        _earliest[request] = simulation.Now + ask.Delay;
        Candidate chosen = routes.SelectMany(r => r.Candidates).First(c => c.Account == ask.Account && c.Model == ask.Model);
        IReadOnlyList<FailedAttempt> failures = request.History.Failures;
        if (failures.Count > 0) Hold(!ErrorPolicy.For(failures[^1].Error.Kind).IsFinal, $"a failure that is final ({failures[^1].Error.Kind}) is not tried again");
        foreach (FailedAttempt failed in failures)
        {
            ErrorRule rule = ErrorPolicy.For(failed.Error.Kind);
            bool same = failed.Account == ask.Account && failed.Model == ask.Model;
            if (!rule.Elsewhere) Hold(failed.Model != ask.Model, $"{failed.Error.Kind} is not tried again with the same model");
            if (!rule.Here) Hold(!same, $"{failed.Error.Kind} is not tried again at the same account");
            if (rule.Bans && rule.Scope != CooldownScope.Model) Hold(failed.Account != ask.Account, $"an account that said {failed.Error.Kind} is not asked again by the same request");
        }

        if (chosen.State == CandidateState.Cooling) Hold(simulation.Now + ask.Delay >= chosen.ReadyAt, "an account that named a time is asked after it");
        if (chosen.IsBanned)
        {
            Count("last resort");
            Hold(failures.Count == 0 && !routes.Any(r => r.Candidates.Any(c => c.CanServe)), "an account that said no is asked only as a last resort");
        }

        if (ask.Delay > TimeSpan.Zero)
        {
            Count("wait");
            ModelRoute route = routes.First(r => r.Model == ask.Model);
            Hold(!route.Candidates.Any(c => c.CanServe && !(c.LimitedUntil > simulation.Now) && c.Account != ask.Account && !request.History.Leaves(c) && failures.All(f => f.Account != c.Account)), "nobody waits while another account could serve at once");
        }
    }

    /// <summary>An attempt begins. <paramref name="before"/> is the breaker's state before the lease was taken; null for closed and spotless.</summary>
    public void Asked(SimulatedRequest request, Lease lease, BreakerState? before)
    {
        (string, string) key = (lease.Account, lease.Model);
        _leases++;
        Count("attempt");
        if (request.Resumes > 0) Count("attempt after a resume");
        if (lease.Model != "m") Count("fallback model");
        Hold(simulation.Now >= _earliest[request], "an attempt waits as long as was decided");
        Hold(request.History.CountOn(lease.Model) + request.Running(lease.Model) + request.Withdrawn < simulation.World.Limits.MaxAttempts, "attempts per model stay within the budget");
        Hold(_namedTimes.GetValueOrDefault(key) <= simulation.Now + AccountPool.TimerSlack, "nobody is asked before the time that upstream named");
        bool open = before is BreakerState.Open or BreakerState.HalfOpen;
        Hold(lease.IsProbe == open, "an open breaker lets probes through and nothing else");
        if (!lease.IsProbe) return;
        Count("probe");
        Hold(!_probes.TryGetValue(key, out DateTimeOffset last) || simulation.Now >= last + simulation.World.BreakerOpen, "probes come one at a time");
        _probes[key] = simulation.Now;
    }

    public void Settled(Lease lease, ProxyError? error)
    {
        (string Account, string Model) key = (lease.Account, lease.Model);
        _leases--;
        Hold(simulation.Pool.LeasesOut == _leases, "every lease is out once and settled once");
        if (error is not null) Count(error.Kind.ToString());
        ErrorRule? rule = error is null ? null : ErrorPolicy.For(error.Kind);
        if (error?.RetryAfter is { } wait && rule is { Bans: false, Here: true })
        {
            DateTimeOffset until = simulation.Now + wait;
            if (until > _namedTimes.GetValueOrDefault(key)) _namedTimes[key] = until;
        }

        ExpectBreaker(key, lease.IsProbe, rule?.Breaks ?? false);
    }

    public void BeforeLetOff(Lease lease) => _beforeLetOff = Breaker(lease.Account, lease.Model);

    /// <summary>An attempt ended without a verdict: the client left, or a hedge was quicker.</summary>
    public void LetOff(Lease lease, string why)
    {
        _leases--;
        Count(why);
        BreakerRecord? now = Breaker(lease.Account, lease.Model);
        Hold(now?.Failures == _beforeLetOff?.Failures && now?.State == _beforeLetOff?.State, $"an attempt without verdict ({why}) moves no breaker");
        Hold(simulation.Pool.LeasesOut == _leases, $"an attempt without verdict ({why}) gives its lease back");
    }

    public void GaveUp(ProxyError told)
    {
        if (told.Status is 429 or 503) Hold(told.RetryAfter is not null, $"a {told.Status} carries Retry-After");
    }

    public void CheckBudgets(SimulatedRequest request)
    {
        Hold(request.Waited <= simulation.World.Limits.MaxWait, $"all waits of a request together stay within the budget ({request.Waited} of {simulation.World.Limits.MaxWait})");
        Hold(request.Resumes <= ResumePolicy.MaxResumes, "an answer is resumed three times at most");
    }

    /// <summary>The client has a whole answer, or the beginning of one and no forged end; nothing twice, nothing missing.</summary>
    public void CheckText(SimulatedRequest request, bool whole)
    {
        (int roles, string reasoning, string content, string calls, string finish) = request.Client.Read();
        string arguments = calls.Length == 0 ? "" : string.Join(':', calls.Split(':').Skip(3));
        Script? script = new[] { Script.Usual, Script.Other }.FirstOrDefault(s =>
            whole ? content == s.Text && arguments == s.Arguments : s.Text.StartsWith(content, StringComparison.Ordinal) && s.Arguments.StartsWith(arguments, StringComparison.Ordinal));
        Hold(script is not null, $"the client reads {(whole ? "one whole answer" : "the beginning of one answer")}, not '{content}' and '{arguments}'");
        Hold(finish == (whole ? "tool_calls" : ""), $"the end is told once and only when it has come, not '{finish}'");
        Hold(roles <= 1 && !calls.Contains(';'), "one role and one call are opened");
        bool thought = simulation.World.AllAgree && whole
            ? reasoning == script!.Thinking
            : Script.Usual.Thinking.StartsWith(reasoning, StringComparison.Ordinal) || Script.Other.Thinking.StartsWith(reasoning, StringComparison.Ordinal);
        Hold(thought, $"the thinking is shown once, not '{reasoning}'");
    }

    /// <summary>What the client is told at last is the sum of what all streams reported.</summary>
    public void CheckUsage(SimulatedRequest request, int expected)
    {
        JsonElement usage = request.Client.Chunks().Select(c => c.GetProperty("usage")).Last(u => u.ValueKind == JsonValueKind.Object);
        int told = usage.GetProperty("completion_tokens").GetInt32();
        Hold(told == expected, $"usage is the sum of the streams: {told}, not {expected}");
    }

    public void CheckAtRest()
    {
        Hold(simulation.Pool.LeasesOut == 0 && _leases == 0, "all leases come back");
        foreach (AccountSnapshot account in simulation.World.Accounts) Hold(simulation.Pool.LoadOf(account.Name) == 0, "all loads return to zero");
    }

    /// <summary>The documented rule, counted anew: so many faults in a row open it, a sign of life begins the count again, probes decide while it is open.</summary>
    private void ExpectBreaker((string Account, string Model) key, bool wasProbe, bool fault)
    {
        bool wasOpen = _faultsInARow.GetValueOrDefault(key) >= simulation.World.BreakerFailures;
        if (!wasOpen || wasProbe) _faultsInARow[key] = fault ? _faultsInARow.GetValueOrDefault(key) + 1 : 0;
        bool shouldBeOpen = _faultsInARow.GetValueOrDefault(key) >= simulation.World.BreakerFailures;
        if (shouldBeOpen && !wasOpen) Count("breaker opens");
        if (wasOpen && !shouldBeOpen)
        {
            Count("breaker closes");
            _probes.Remove(key);
        }

        bool isOpen = StateOf(key.Account, key.Model) is BreakerState.Open or BreakerState.HalfOpen;
        Hold(isOpen == shouldBeOpen, $"the breaker of {key.Account}/{key.Model} is {(shouldBeOpen ? "open" : "closed")}");
    }

    private BreakerRecord? Breaker(string account, string model) => simulation.Pool.Export(simulation.Now).Breakers.FirstOrDefault(b => b.Account == account && b.Model == model);
}
