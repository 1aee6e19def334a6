using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>Writes a neutral wish as the upstream's fields. What the request says itself is not overruled.</summary>
internal static class ThinkingWishes
{
    public static void Write(RequestDraft draft)
    {
        if (draft.Wish is not { } wish) return;
        bool off = wish.Enabled == false || (wish.Enabled is null && wish.Effort is { } effort && Thinking.MeansOff(effort));
        switch (draft.Profile.Thinking)
        {
            case ThinkingDialect.TopLevel: WriteTopLevel(draft, wish, off); break;
            case ThinkingDialect.ChatTemplateKwargs: WriteTemplate(draft, wish, off); break;
            case ThinkingDialect.ReasoningEffort: WriteEffort(draft, wish, off); break;
            case ThinkingDialect.OpenRouterReasoning: WriteRouter(draft, wish, off); break;
        }
    }

    private static void WriteTopLevel(RequestDraft draft, ThinkingWish wish, bool off)
    {
        ModelTraits model = draft.Model;
        if (JsonValue.IsFalse(draft.Fields.Find("enable_thinking"u8))) return;
        if (off)
        {
            if (!model.CanSwitchThinking) return;
            if (model.TakesEffort) draft.SetEffortIfAbsent("\"none\""u8);
            else draft.SetIfAbsent("enable_thinking"u8, "false"u8);
            return;
        }

        if (model.TakesEffort)
        {
            // An effort and a budget together are refused; the effort is the model's own way and the client's own word.
            string? word = wish.Effort is { } effort ? Thinking.ModelEffort(effort, model) : null;
            if (word is not null) draft.SetEffortIfAbsent(JsonValue.Quote(word));
            else if (draft.Effort.IsEmpty) WriteBudget(draft, wish);
            return;
        }

        if (model.CanSwitchThinking && wish.Enabled == true) draft.SetIfAbsent("enable_thinking"u8, "true"u8);
        if (model.CanSwitchThinking || model.Thinking == ThinkingMode.Always) WriteBudget(draft, wish);
    }

    private static void WriteBudget(RequestDraft draft, ThinkingWish wish)
    {
        if (wish.BudgetTokens is { } budget && draft.Fields.Find("thinking_budget"u8).IsEmpty) draft.Set("thinking_budget"u8, budget);
    }

    /// <summary>The templates know a switch and nothing finer.</summary>
    private static void WriteTemplate(RequestDraft draft, ThinkingWish wish, bool off)
    {
        if (off && draft.Model.Thinking != ThinkingMode.Always) Thinking.SetInTemplate(draft, "enable_thinking"u8, "false"u8);
        else if (wish.Enabled == true && draft.Model.CanSwitchThinking) Thinking.SetInTemplate(draft, "enable_thinking"u8, "true"u8);
    }

    private static void WriteEffort(RequestDraft draft, ThinkingWish wish, bool off)
    {
        if (off) draft.SetEffortIfAbsent("\"none\""u8);
        else if (wish.Effort is { } effort && Thinking.OllamaEffort(effort) is { } word)
        {
            draft.SetEffortIfAbsent(JsonValue.Quote(word));
        }
    }

    /// <summary>An effort and a number of tokens are alternatives there.</summary>
    private static void WriteRouter(RequestDraft draft, ThinkingWish wish, bool off)
    {
        if (draft.Dialect == WireDialect.OpenAIResponses)
        {
            // Responses has that object of its own, in which only the effort is known.
            WriteEffort(draft, wish, off);
            return;
        }

        if (!draft.Fields.Find("reasoning"u8).IsEmpty) return;
        if (off) draft.Set("reasoning"u8, "{\"enabled\":false}"u8);
        else if (wish.Effort is { } effort && Thinking.RouterEffort(effort) is { } word)
        {
            draft.Set("reasoning"u8, [.. "{\"effort\":"u8, .. JsonValue.Quote(word), (byte)'}']);
        }
        else if (wish.BudgetTokens is { } budget) draft.Set("reasoning"u8, System.Text.Encoding.ASCII.GetBytes($"{{\"max_tokens\":{budget}}}"));
        else if (wish.Enabled == true) draft.Set("reasoning"u8, "{\"enabled\":true}"u8);
    }
}
