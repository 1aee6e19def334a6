using System.Diagnostics;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>
/// What an upstream refuses, ignores or reads differently, put right in the request before it is sent. Only rules with a fact behind them; whatever
/// no rule is concerned with goes on byte for byte.
/// </summary>
public static class QuirkRules
{
    /// <summary>In the order they run: later ones see what earlier ones made.</summary>
    public static IReadOnlyList<QuirkRule> All { get; } =
        [.. FieldRules.All, .. ToolRules.All, .. ThinkingRules.All, .. SystemRules.All, .. HistoryRules.All, .. ContentRules.All];

    /// <summary>
    /// The request as this upstream should get it: the same instance when no rule has anything to change, else a new one over new bytes.
    /// </summary>
    /// <param name="request">The client's request, or its translation.</param>
    /// <param name="profile">The upstream's kind.</param>
    /// <param name="model">The upstream's name for the model.</param>
    /// <param name="wish">What a client of another dialect wants of thinking; null lets the request's own fields stand.</param>
    /// <param name="disabled">Ids the user switched off.</param>
    /// <param name="applied">Gets the id of each rule that changed something, in order, once.</param>
    public static ChatRequest Apply(
        ChatRequest request, UpstreamProfile profile, string model, ThinkingWish? wish, IReadOnlySet<string> disabled, ICollection<string> applied)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(disabled);
        ArgumentNullException.ThrowIfNull(applied);
        JsonObjectDraft fields = JsonObjectDraft.From(request.Body, request.Members);
        RequestDraft draft = new(fields, WireDialect.OpenAIChat, profile, new ModelTraits(model), wish) { JoinsTexts = request.JoinsTexts };
        if (!Run(draft, disabled, applied)) return request;
        if (!ChatRequest.TryParse(draft.ToBytes(), out ChatRequest changed, out string fault)) throw new UnreachableException(fault);
        changed.JoinsTexts = request.JoinsTexts;
        return changed;
    }

    /// <summary>The same for a request in another wire API, which an upstream that speaks it gets as it came but for what a rule changes.</summary>
    /// <param name="body">A JSON object.</param>
    /// <param name="dialect">What it is written in.</param>
    /// <param name="profile">The upstream's kind.</param>
    /// <param name="model">The upstream's name for the model.</param>
    /// <param name="wish">What is wanted of thinking; null lets the request's own fields stand.</param>
    /// <param name="disabled">Ids the user switched off.</param>
    /// <param name="applied">Gets the id of each rule that changed something, in order, once.</param>
    public static ReadOnlyMemory<byte> Apply(
        ReadOnlyMemory<byte> body, WireDialect dialect, UpstreamProfile profile, string model, ThinkingWish? wish, IReadOnlySet<string> disabled, ICollection<string> applied)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(disabled);
        ArgumentNullException.ThrowIfNull(applied);
        RequestDraft draft = new(JsonObjectDraft.Read(body), dialect, profile, new ModelTraits(model), wish);
        return Run(draft, disabled, applied) ? draft.ToBytes() : body;
    }

    /// <summary>True when a rule has changed something.</summary>
    private static bool Run(RequestDraft draft, IReadOnlySet<string> disabled, ICollection<string> applied)
    {
        int seen = 0;
        foreach (QuirkRule rule in All)
        {
            if (rule.In(draft.Dialect) is not { } rewrite || disabled.Contains(rule.Id) || !rule.Applies(draft.Profile, draft.Model.Name)) continue;
            rewrite(draft);
            if (draft.Edits == seen) continue;
            seen = draft.Edits;
            applied.Add(rule.Id);
        }

        return seen > 0;
    }
}
