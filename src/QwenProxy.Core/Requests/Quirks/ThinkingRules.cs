using System.Text;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>The switches of thinking, in the upstream's own way, and what cannot be had while the model thinks.</summary>
internal static class ThinkingRules
{
    /// <summary>What the client wrote is put right before a wish is written beside it.</summary>
    public static QuirkRule[] All { get; } =
    [
        new("thinking-mandatory", "Drops enable_thinking: false for models that always think and refuse it.", DropsSwitch, DropSwitch)
        {
            Messages = MessagesThinking.Unsay,
            Responses = DropSwitch,
        },
        new("thinking-switch", "Moves a top-level enable_thinking to where the upstream reads it.", (p, _) => ReadsElsewhere(p), MoveSwitch),
        new(
            "thinking-wish",
            "Writes what a Messages client or models.thinking wants of thinking into the upstream's fields.",
            (p, _) => p.Thinking != ThinkingDialect.None,
            ThinkingWishes.Write) { Messages = MessagesThinking.Write, Responses = ThinkingWishes.Write },
        new(
            "reasoning-effort",
            "Turns reasoning_effort into what the upstream and the model understand.",
            (p, _) => TakesNoPlainEffort(p),
            MapEffort) { Responses = MapEffort },
        new(
            "json-mode-thinking",
            "Switches thinking off for response_format json_object, which the service refuses while thinking.",
            (p, _) => p.ModelStudioRules,
            JsonMode),
        new(
            "tool-choice-required",
            "Sends tool_choice required as auto, where only none, auto and a named function exist.",
            (p, _) => p.ModelStudioRules,
            RequiredChoice) { Messages = AnyChoice, Responses = RequiredChoice },
        new(
            "tool-choice-named",
            "Switches thinking off for a named tool_choice; where it must stay on, sends auto.",
            (p, _) => p.ModelStudioRules,
            NamedChoice) { Messages = NamedTool, Responses = NamedChoice },
        new("preserve-thinking", "Asks the model to read the thinking that the history carries.", ReadsHistory, PreserveThinking),
    ];

    private static bool ReadsElsewhere(UpstreamProfile profile) =>
        profile.Thinking is ThinkingDialect.ChatTemplateKwargs or ThinkingDialect.ReasoningEffort;

    private static bool TakesNoPlainEffort(UpstreamProfile profile) =>
        profile.Thinking is ThinkingDialect.TopLevel or ThinkingDialect.ChatTemplateKwargs or ThinkingDialect.ReasoningEffort;

    private static bool DropsSwitch(UpstreamProfile profile, string model) =>
        profile.Thinking == ThinkingDialect.TopLevel && new ModelTraits(model).Thinking == ThinkingMode.Always;

    private static bool ReadsHistory(UpstreamProfile profile, string model) => ModelPattern.MatchesAny(profile.PreserveThinkingModels, model);

    private static void MoveSwitch(RequestDraft draft)
    {
        if (draft.Profile.Thinking == ThinkingDialect.ChatTemplateKwargs)
        {
            Thinking.MoveToTemplate(draft, "enable_thinking"u8);
            Thinking.MoveToTemplate(draft, "preserve_thinking"u8);
            return;
        }

        // Ollama knows only an effort; "on" is its models' default, so only "off" has to be said.
        if (!JsonValue.IsFalse(draft.Fields.Find("enable_thinking"u8)) || !draft.Fields.Find("reasoning_effort"u8).IsEmpty) return;
        draft.Fields.Remove("enable_thinking"u8);
        draft.Set("reasoning_effort"u8, "\"none\""u8);
    }

    private static void MapEffort(RequestDraft draft)
    {
        ReadOnlySpan<byte> value = draft.Effort;
        if (!JsonValue.IsString(value)) return;
        string effort = JsonValue.Text(value);
        switch (draft.Profile.Thinking)
        {
            case ThinkingDialect.TopLevel when draft.Model.TakesEffort:
                if (Thinking.ModelEffort(effort, draft.Model) is { } word) draft.SetEffort(Quote(word));
                draft.Fields.Remove("thinking_budget"u8);
                break;
            case ThinkingDialect.TopLevel when draft.Model.CanSwitchThinking && draft.Fields.Find("enable_thinking"u8).IsEmpty:
                // These models ignore the effort; what can be kept of it is whether to think at all.
                bool off = Thinking.MeansOff(effort);
                bool isOff = draft.Model.Thinking == ThinkingMode.OffByDefault;
                if (off && !isOff) draft.Set("enable_thinking"u8, "false"u8);
                if (!off && isOff) draft.Set("enable_thinking"u8, "true"u8);
                break;
            case ThinkingDialect.ChatTemplateKwargs when Thinking.MeansOff(effort) && draft.Model.Thinking != ThinkingMode.Always:
                Thinking.SetInTemplate(draft, "enable_thinking"u8, "false"u8);
                break;
            case ThinkingDialect.ReasoningEffort:
                if (Thinking.OllamaEffort(effort) is { } known) draft.SetEffort(Quote(known));
                break;
        }
    }

    private static void DropSwitch(RequestDraft draft)
    {
        if (JsonValue.IsFalse(draft.Fields.Find("enable_thinking"u8))) draft.Fields.Remove("enable_thinking"u8);
    }

    private static void JsonMode(RequestDraft draft)
    {
        ReadOnlySpan<byte> type = JsonValue.Find(draft.Fields.Find("response_format"u8), "type"u8);
        if (JsonValue.StringIs(type, "json_object"u8) && Thinking.IsOn(draft)) Thinking.TrySwitchOff(draft);
    }

    private static void RequiredChoice(RequestDraft draft)
    {
        if (JsonValue.StringIs(draft.Fields.Find("tool_choice"u8), "required"u8)) draft.Set("tool_choice"u8, "\"auto\""u8);
    }

    /// <summary>The same in Messages, where it is called any.</summary>
    private static void AnyChoice(RequestDraft draft)
    {
        if (JsonValue.StringIs(JsonValue.Find(draft.Fields.Find("tool_choice"u8), "type"u8), "any"u8)) ChooseFreely(draft);
    }

    private static void NamedTool(RequestDraft draft)
    {
        if (!JsonValue.StringIs(JsonValue.Find(draft.Fields.Find("tool_choice"u8), "type"u8), "tool"u8) || !Thinking.IsOn(draft)) return;
        if (Thinking.IsAskedFor(draft) || !Thinking.TrySwitchOff(draft)) ChooseFreely(draft);
    }

    /// <summary>Messages' choice also says whether calls may come side by side, which stays.</summary>
    private static void ChooseFreely(RequestDraft draft)
    {
        JsonObjectDraft choice = JsonObjectDraft.Read(draft.Fields.FindMember("tool_choice"u8)!.Value);
        choice.Set("type"u8, "\"auto\""u8);
        choice.Remove("name"u8);
        draft.Set("tool_choice"u8, choice.ToBytes());
    }

    /// <summary>
    /// A client that names a function needs that call (structured output is often made so), and seldom cares for the thinking before it; one that
    /// asked for thinking by name keeps it and gets auto.
    /// </summary>
    private static void NamedChoice(RequestDraft draft)
    {
        if (!JsonValue.IsObject(draft.Fields.Find("tool_choice"u8)) || !Thinking.IsOn(draft)) return;
        if (Thinking.IsAskedFor(draft) || !Thinking.TrySwitchOff(draft)) draft.Set("tool_choice"u8, "\"auto\""u8);
    }

    private static void PreserveThinking(RequestDraft draft)
    {
        if (draft.Messages is not { } messages || !draft.Fields.Find("preserve_thinking"u8).IsEmpty) return;
        foreach (MessageDraft message in messages.Items)
        {
            if (message.Role != MessageRole.Assistant || !message.HasReasoningContent) continue;
            draft.Set("preserve_thinking"u8, "true"u8);
            return;
        }
    }

    private static byte[] Quote(string word) => JsonValue.Quote(Encoding.ASCII.GetBytes(word));
}
