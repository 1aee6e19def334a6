using System.Diagnostics.CodeAnalysis;
using System.Text;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using QwenProxy.Core.Resume;
using Stream = QwenProxy.Core.Tests.Resume.Stream;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>One request, most of them streaming, from its first decision to its end, as the server's loops carry it out, without any waiting.</summary>
internal sealed class SimulatedRequest(Simulation simulation, int number) : IDisposable
{
    private static readonly byte[] Body = Encoding.UTF8.GetBytes("""{"model":"m","stream":true,"messages":[{"role":"user","content":"when?"}]}""");

    private readonly SimulatedWorld _world = simulation.World;
    private readonly ResumePolicy _resume = new();
    private readonly HashSet<string> _askedModels = [];
    private readonly ulong _affinity = (ulong)simulation.World.Random.NextInt64();
    private readonly bool _whole = simulation.World.Random.Next(4) == 0;
    private readonly RoutePlan _plan = new RouteTable(simulation.World.Accounts, [], simulation.World.Fallbacks).Resolve("m");
    private AttemptHistory _history = new();
    private readonly List<Attempt> _running = [];
    private bool _resuming;
    private int _usageSum;

    public int Number => number;

    /// <summary>How often it has ended; 1 in the end.</summary>
    public int Ends { get; private set; }

    public Stream Client { get; private set; } = new();

    public TimeSpan Waited { get; private set; }

    public int Resumes => _resume.Resumes;

    public AttemptHistory History => _history;

    /// <summary>Attempts of this history that it was not told of: see <see cref="Sabotage.ForgetLosers"/>.</summary>
    public int Withdrawn { get; private set; }

    /// <summary>How many attempts at a model are under way.</summary>
    public int Running(string model) => _running.Count(a => a.Ask.Model == model);

    public void Begin() => Next();

    /// <summary>The client leaves: no verdict about anybody.</summary>
    public void HangUp()
    {
        if (Ends > 0) return;
        foreach (Attempt attempt in _running) LetOff(attempt.Lease, simulation.Sabotage == Sabotage.BlameHangUps, "hang-up during an attempt");
        End("hung up");
    }

    public void Dispose() => Client.Dispose();

    private void Next()
    {
        if (Ends > 0) return;
        IReadOnlyList<ModelRoute> routes = Routes();
        NextStep step = simulation.Policy.Decide(_history, routes, simulation.Now);
        if (step is NextStep.GiveUp end)
        {
            if (simulation.Sabotage == Sabotage.RetryFinal && _history.Last is { } last && ErrorPolicy.For(last.Error.Kind).IsFinal && _history.Failures.Count < 3) step = new NextStep.Ask(last.Account, last.Model, TimeSpan.Zero, false);
            else
            {
                simulation.Rules.GaveUp(end.Error);
                EndFailed(end.Error.Kind.ToString());
                return;
            }
        }

        NextStep.Ask ask = (NextStep.Ask)step;
        simulation.Rules.Decided(this, ask, routes);
        TimeSpan delay = simulation.Sabotage == Sabotage.SkipWaits ? TimeSpan.Zero : ask.Delay;
        Waited += ask.Delay;
        simulation.After(delay, () => Ask(ask));
    }

    private IReadOnlyList<ModelRoute> Routes()
    {
        IReadOnlyList<ModelRoute> routes = simulation.Pool.View(_plan, _affinity, simulation.Now);
        if (simulation.Sabotage == Sabotage.IgnoreBreaker) routes = [.. routes.Select(r => r with { Candidates = [.. r.Candidates.Select(c => c.State == CandidateState.BreakerOpen ? c with { State = CandidateState.Ready } : c)] })];
        return _resuming ? _resume.Routes(routes, _askedModels) : routes;
    }

    private void Ask(NextStep.Ask ask)
    {
        if (Ends > 0) return;
        if (Begin(ask)) return;
        simulation.Rules.Count("lease refused, decided anew");
        Next();
    }

    private bool Begin(NextStep.Ask ask)
    {
        BreakerState? before = simulation.Rules.StateOf(ask.Account, ask.Model);
        if (!TryLease(ask, out Lease? lease)) return false;
        simulation.Rules.Asked(this, lease, before);
        Course course = _world.Draw(ask.Account, simulation.Now);
        simulation.Trace($"{simulation.Now:mm:ss.fff} request {number} asks {ask.Account}/{ask.Model}: {course.Refused?.Kind.ToString() ?? $"answers, {course.Broke?.Kind.ToString() ?? "whole"}"}");
        Attempt attempt = new(lease, ask, course);
        _running.Add(attempt);
        simulation.After(course.Took, () => FirstSign(attempt));
        if (_world.HedgeAfter is { } after && !_resuming && _running.Count == 1) simulation.After(after, () => Hedge(attempt));
        return true;
    }

    private bool TryLease(NextStep.Ask ask, [NotNullWhen(true)] out Lease? lease)
    {
        if (simulation.Pool.TryLease(ask.Account, ask.Model, simulation.Now, out lease)) return true;
        // A driver that does not care what the pool says gets its lease by forgetting why it was refused.
        if (simulation.Sabotage != Sabotage.IgnoreBreaker) return false;
        simulation.Pool.Reset(ask.Account, simulation.Now);
        return simulation.Pool.TryLease(ask.Account, ask.Model, simulation.Now, out lease);
    }

    /// <summary>The attempt has said nothing for a while.</summary>
    private void Hedge(Attempt silent)
    {
        if (Ends > 0 || silent.Speaks || !_running.Contains(silent)) return;
        IReadOnlyList<ModelRoute> routes = Routes();
        if (simulation.Policy.Hedge(_history, routes, silent.Ask) is not { } ask) return;
        simulation.Rules.Hold(ask.Account != silent.Ask.Account && ask.Model == silent.Ask.Model, "a hedge asks another account for the same model");
        simulation.Rules.Decided(this, ask, routes);
        if (Begin(ask)) simulation.Rules.Count("hedge");
    }

    /// <summary>The attempt's first event, or its failure.</summary>
    private void FirstSign(Attempt attempt)
    {
        if (Ends > 0 || !_running.Contains(attempt)) return;
        bool ends = attempt.Course.Refused is not { } failure || !ErrorPolicy.For(failure.Kind).Elsewhere;
        if (ends) Withdraw(_running.Find(a => a != attempt));
        if (attempt.Course.Refused is { } refused)
        {
            Settle(attempt, refused);
            if (_running.Count == 0) Next();
            return;
        }

        attempt.Speaks = true;
        simulation.After(attempt.Course.Streamed, () => Streamed(attempt));
    }

    private void Withdraw(Attempt? loser)
    {
        if (loser is null) return;
        _running.Remove(loser);
        if (simulation.Sabotage != Sabotage.ForgetLosers) _history.Withdrawn(loser.Ask.Model);
        Withdrawn += simulation.Sabotage == Sabotage.ForgetLosers ? 1 : 0;
        LetOff(loser.Lease, simulation.Sabotage == Sabotage.BlameLosers, "withdrawn");
    }

    private void LetOff(Lease lease, bool blame, string why)
    {
        simulation.Rules.BeforeLetOff(lease);
        if (blame) lease.Settle(Resilience.World.Fail(FaultKind.Reset), simulation.Now);
        else lease.Dispose();
        simulation.Rules.LetOff(lease, why);
    }

    private void Settle(Attempt attempt, ProxyError? error)
    {
        _running.Remove(attempt);
        if (error is not null) _history.Failed(attempt.Ask.Account, attempt.Ask.Model, error);
        if (error is not null && simulation.Sabotage == Sabotage.LoseLeases) return;
        attempt.Lease.Settle(error, simulation.Now);
        simulation.Rules.Settled(attempt.Lease, error);
    }

    private void Streamed(Attempt attempt)
    {
        if (Ends > 0) return;
        NextStep.Ask ask = attempt.Ask;
        _askedModels.Add(ask.Model);
        ProxyError? fault = Feed(ask, attempt.Course);
        simulation.Rules.CheckText(this, whole: fault is null);
        Settle(attempt, fault);
        if (fault is null)
        {
            simulation.Rules.CheckUsage(this, _usageSum);
            End("complete");
        }
        else if (_whole)
        {
            // The client has seen nothing of a whole answer: it is one more failed attempt.
            simulation.Rules.Count("whole answer begun anew");
            Client.Dispose();
            Client = new Stream();
            _usageSum = 0;
            Next();
        }
        else if (_resume.CanResume(Client.Sent, fault))
        {
            _resuming = true;
            _history = simulation.Sabotage == Sabotage.ForgetWaits
                ? new AttemptHistory().ForResume(ask.Account, ask.Model, fault)
                : _history.ForResume(ask.Account, ask.Model, fault);
            Withdrawn = 0;
            Next();
        }
        else EndFailed(fault.Kind.ToString());
    }

    /// <summary>Lets the stream's events through to the client, proved where it continues another.</summary>
    private ProxyError? Feed(NextStep.Ask ask, Course course)
    {
        Random random = _world.Random;
        int usageEvery = random.Next(2);
        string id = $"call_{random.Next(1_000_000)}";
        ResumeWay way = _resuming ? Way(ask) : ResumeWay.Replay;
        string[] all = way == ResumeWay.Prefill
            ? _world.Speaks(ask.Account).Continuing(Client.Sent).Continuation(random, Client.Sent, id, usageEvery)
            : _world.Speaks(ask.Account).Answer(random, id, usageEvery);
        bool whole = course.Broke is null;
        // At least the first event: before it, it would be a failed attempt. At most all but the last: after it, nothing is broken.
        string[] chunks = whole ? all : all[..(1 + (int)(course.BreakAt * (all.Length - 1)))];
        int reported = usageEvery == 1 || whole ? chunks.Length : 0;
        _usageSum += reported;
        ReplayVerifier? verifier = Client.Continue(way, _resuming && simulation.Sabotage != Sabotage.TrustResumes, whole, chunks);
        NoteUsage(reported);
        if (_resuming) _resume.NoteResume();
        bool differs = verifier is { Mismatch: not null } || (whole && verifier is { IsCaughtUp: false });
        simulation.Rules.Hold(!differs || !_world.AllAgree, $"models that say the same can go on for each other ({way}: {verifier?.Mismatch})");
        if (differs) return Resumed(way, OwnErrors.ResumeDiffers());
        return Resumed(way, whole ? null : course.Broke);
    }

    private void NoteUsage(int tokens)
    {
        if (tokens > 0) Client.Usage.Note(Encoding.UTF8.GetBytes($$"""{"prompt_tokens":10,"completion_tokens":{{tokens}},"total_tokens":{{tokens + 10}}}"""));
        Client.Usage.EndStream();
    }

    private ProxyError? Resumed(ResumeWay way, ProxyError? fault)
    {
        if (_resuming) simulation.Rules.Count($"{way}: {fault?.Kind.ToString() ?? "complete"}");
        return fault;
    }

    private ResumeWay Way(NextStep.Ask ask)
    {
        UpstreamProfile profile = _world.Account(ask.Account).Profile;
        PrefillStyle style = profile.CanPrefill(ask.Model) ? profile.Prefill : PrefillStyle.None;
        if (_resume.Choose(Client.Sent, style, ask.Account, ask.Model) != ResumeWay.Prefill || PrefillRequest.Build(Body, Client.Sent, style) is null) return ResumeWay.Replay;
        if (!_world.RefusesPrefill(ask.Account)) return ResumeWay.Prefill;
        simulation.Rules.Hold(_resume.NoteRefusedPrefill(ask.Account, ask.Model, Resilience.World.Fail(FaultKind.InvalidRequest)), "a refused prefill is taken as one");
        simulation.Rules.Count("prefill refused");
        return ResumeWay.Replay;
    }

    private void EndFailed(string why)
    {
        simulation.Rules.CheckText(this, whole: false);
        End(why);
    }

    private void End(string how)
    {
        Ends++;
        simulation.Trace($"{simulation.Now:mm:ss.fff} request {number} ends: {how}");
        simulation.Rules.Count($"end: {how}");
        simulation.Rules.CheckBudgets(this);
    }

    private sealed class Attempt(Lease lease, NextStep.Ask ask, Course course)
    {
        public Lease Lease => lease;

        public NextStep.Ask Ask => ask;

        public Course Course => course;

        /// <summary>Its first event has come.</summary>
        public bool Speaks { get; set; }
    }
}
