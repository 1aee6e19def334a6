using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Resume;

/// <summary>How a broken answer is continued.</summary>
public enum ResumeWay
{
    /// <summary>Ask for the rest, with the text so far as the answer's beginning.</summary>
    Prefill,

    /// <summary>Ask for all of it again and go on where the new answer has repeated the old one.</summary>
    Replay,
}

/// <summary>
/// Whether and how one answer may still be continued. One owner: the request. Whom a resume asks, the attempt policy decides, with a new
/// <see cref="AttemptHistory"/> that avoids the account whose stream broke.
/// </summary>
public sealed class ResumePolicy
{
    public const int MaxResumes = 3;

    private readonly HashSet<(string Account, string Model)> _refused = [];

    /// <summary>Streams begun to continue this answer, refused prefills not counted.</summary>
    public int Resumes { get; private set; }

    /// <summary>
    /// Whether this failure, after the client has been sent something, is one that another stream can mend. A fault of the request, a reached
    /// lifetime and a client that left are not.
    /// </summary>
    public bool CanResume(SentAnswer sent, ProxyError error)
    {
        if (Resumes >= MaxResumes || sent.Overflowed || sent.IsFinished) return false;
        ErrorRule rule = ErrorPolicy.For(error.Kind);
        return rule.Here || rule.Elsewhere || rule.OtherModel;
    }

    /// <summary>
    /// The routes of the next resume. A stream that breaks each time must have tried a fallback model by the last one, so the last one goes
    /// there when none has been asked yet.
    /// </summary>
    /// <param name="routes">The pool's view of now.</param>
    /// <param name="asked">Models that streams of this answer came from, the broken ones.</param>
    public IReadOnlyList<ModelRoute> Routes(IReadOnlyList<ModelRoute> routes, IReadOnlyCollection<string> asked)
    {
        if (Resumes < MaxResumes - 1 || routes.Count < 2) return routes;
        bool fallbackAsked = routes.Skip(1).Any(r => asked.Contains(r.Model));
        bool fallbackServes = routes.Skip(1).Any(r => r.Candidates.Any(c => c.CanServe));
        return fallbackAsked || !fallbackServes ? routes : [.. routes.Skip(1)];
    }

    /// <summary>Prefill where the upstream can and has not refused it and there is text to begin with; else replay.</summary>
    public ResumeWay Choose(SentAnswer sent, PrefillStyle style, string account, string model)
    {
        bool hasText = sent.Choices.Count == 1 && !sent.Choices.First().Content.IsEmpty;
        return style != PrefillStyle.None && hasText && !_refused.Contains((account, model)) ? ResumeWay.Prefill : ResumeWay.Replay;
    }

    /// <summary>A resuming stream was accepted by an upstream, or failed in any way but a refused prefill.</summary>
    public void NoteResume() => Resumes++;

    /// <summary>The upstream answered a prefill with a 4xx: it cannot do that. The client never hears of it, and it costs no resume.</summary>
    /// <returns>False when the error is no such refusal and must be counted like any other failure.</returns>
    public bool NoteRefusedPrefill(string account, string model, ProxyError error)
    {
        if (error.Kind is not (FaultKind.InvalidRequest or FaultKind.ContextTooLong)) return false;
        _refused.Add((account, model));
        return true;
    }
}
