using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>One attempt that failed.</summary>
public readonly record struct FailedAttempt(string Account, string Model, ProxyError Error);

/// <summary>What one request has tried so far. One owner: the request.</summary>
public sealed class AttemptHistory
{
    /// <summary>
    /// For a resume: whose streams have broken, or who refused before. They are asked after the other ready ones, but these are no attempts that
    /// count, so that an answer can be resumed also where retries are switched off.
    /// </summary>
    private readonly List<FailedAttempt> _before = [];
    private readonly List<FailedAttempt> _failures = [];
    private readonly List<string> _withdrawn = [];

    public IReadOnlyList<FailedAttempt> Failures => _failures;

    /// <summary>How long the request has waited between attempts.</summary>
    public TimeSpan Waited { get; private set; }

    public FailedAttempt? Last => _failures.Count == 0 ? null : _failures[^1];

    /// <summary>
    /// The stream of this account and model broke and its answer is to be resumed: with attempts of its own, but the waits of the whole request
    /// stay on one account, and so does the memory of who has failed in it.
    /// </summary>
    public AttemptHistory ForResume(string account, string model, ProxyError fault)
    {
        AttemptHistory resume = new() { Waited = Waited };
        resume._before.AddRange(_before);
        resume._before.AddRange(_failures);
        resume._before.Add(new FailedAttempt(account, model, fault));
        return resume;
    }

    public void Failed(string account, string model, ProxyError error) => _failures.Add(new FailedAttempt(account, model, error));

    /// <summary>An attempt was called off because a hedge beside it answered first: no failure, but it has used up its place in the budget.</summary>
    public void Withdrawn(string model) => _withdrawn.Add(model);

    public void AddWait(TimeSpan wait) => Waited += wait;

    public int CountOn(string model)
    {
        int count = 0;
        foreach (string withdrawn in _withdrawn)
        {
            if (withdrawn == model) count++;
        }

        foreach (FailedAttempt attempt in _failures)
        {
            if (attempt.Model == model) count++;
        }

        return count;
    }

    internal int CountOn(string account, string model)
    {
        int count = 0;
        foreach (FailedAttempt attempt in _failures)
        {
            if (attempt.Model == model && attempt.Account == account) count++;
        }

        return count;
    }

    internal ProxyError? LastOf(string account, string model)
    {
        for (int i = _failures.Count - 1; i >= 0; i--)
        {
            if (_failures[i].Model == model && _failures[i].Account == account) return _failures[i].Error;
        }

        return null;
    }

    /// <summary>For a resume: how often this one has failed the answer so far.</summary>
    internal int FailuresBefore(Candidate candidate)
    {
        int count = 0;
        foreach (FailedAttempt attempt in _before)
        {
            if (attempt.Account == candidate.Account && attempt.Model == candidate.Model) count++;
        }

        return count;
    }

    /// <summary>
    /// For a resume: its last failure would cost too much once more, while another could serve. One that fell silent has cost its full deadline already.
    /// </summary>
    internal bool Leaves(Candidate candidate)
    {
        for (int i = _before.Count - 1; i >= 0; i--)
        {
            if (_before[i].Account == candidate.Account && _before[i].Model == candidate.Model) return !ErrorPolicy.For(_before[i].Error.Kind).Here;
        }

        return false;
    }

    /// <summary>The account has said no for good, to this model or to everything.</summary>
    internal bool Refused(string account, string model)
    {
        foreach (FailedAttempt attempt in _failures)
        {
            ErrorRule rule = ErrorPolicy.For(attempt.Error.Kind);
            if (attempt.Account == account && rule.Bans && (rule.Scope != CooldownScope.Model || attempt.Model == model)) return true;
        }

        return false;
    }
}
