using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>What the fields of a request say about thinking, and how they are changed.</summary>
internal static class Thinking
{
    /// <summary>OpenAI's <c>minimal</c> asks for few or no tokens of thinking; a model that can only switch is switched off.</summary>
    public static bool MeansOff(string effort) => effort is "none" or "minimal";

    /// <summary>The word of the models that take an effort; null for one nobody knows, which passes as it is.</summary>
    public static string? ModelEffort(string effort, ModelTraits model) => effort switch
    {
        "none" => model.Thinking == ThinkingMode.Always ? "low" : "none",
        "minimal" or "low" => "low",
        "medium" => "medium",
        "high" or "xhigh" or "max" => "xhigh",
        _ => null,
    };

    /// <summary>Ollama's words; null for one nobody knows.</summary>
    public static string? OllamaEffort(string effort) => effort switch
    {
        "minimal" => "low",
        "xhigh" => "max",
        "none" or "low" or "medium" or "high" or "max" => effort,
        _ => null,
    };

    /// <summary>OpenRouter's words; null for one nobody knows.</summary>
    public static string? RouterEffort(string effort) => effort switch
    {
        "max" => "xhigh",
        "none" or "minimal" or "low" or "medium" or "high" or "xhigh" => effort,
        _ => null,
    };

    /// <summary>Whether the model will think, at an upstream with top-level switches or asked in Messages. False where nothing is known.</summary>
    public static bool IsOn(RequestDraft draft)
    {
        if (draft.Dialect == WireDialect.AnthropicMessages) return MessagesThinking.IsOn(draft);
        ReadOnlySpan<byte> enabled = draft.Fields.Find("enable_thinking"u8);
        if (JsonValue.IsTrue(enabled)) return true;
        if (draft.Model.Thinking == ThinkingMode.Always) return true;
        if (JsonValue.IsFalse(enabled)) return false;
        if (draft.Model.TakesEffort && JsonValue.StringIs(draft.Effort, "none"u8)) return false;
        return draft.Model.Thinking == ThinkingMode.OnByDefault;
    }

    public static bool IsAskedFor(RequestDraft draft)
    {
        if (draft.Dialect == WireDialect.AnthropicMessages) return MessagesThinking.IsAskedFor(draft);
        if (JsonValue.IsTrue(draft.Fields.Find("enable_thinking"u8)) || !draft.Fields.Find("thinking_budget"u8).IsEmpty) return true;
        return draft.Model.TakesEffort && !draft.Effort.IsEmpty;
    }

    /// <summary>False when the model always thinks, or is not known to have a switch.</summary>
    public static bool TrySwitchOff(RequestDraft draft)
    {
        if (!draft.Model.CanSwitchThinking) return false;
        if (draft.Dialect == WireDialect.AnthropicMessages)
        {
            MessagesThinking.SwitchOff(draft);
            return true;
        }

        draft.Fields.Remove("thinking_budget"u8);
        if (draft.Model.TakesEffort)
        {
            draft.Fields.Remove("enable_thinking"u8);
            draft.SetEffort("\"none\""u8);
        }
        else draft.Set("enable_thinking"u8, "false"u8);

        return true;
    }

    /// <summary>Sets a switch in <c>chat_template_kwargs</c> unless it stands there.</summary>
    public static bool SetInTemplate(RequestDraft draft, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        ReadOnlyMemory<byte> kwargs = draft.Fields.FindMember("chat_template_kwargs"u8)?.Value ?? default;
        if (!JsonValue.IsNothing(kwargs.Span) && !JsonValue.IsObject(kwargs.Span)) return false;
        JsonObjectDraft members = JsonObjectDraft.Read(JsonValue.IsObject(kwargs.Span) ? kwargs : "{}"u8.ToArray());
        if (members.FindMember(name) is not null) return false;
        members.Set(name, value);
        draft.Set("chat_template_kwargs"u8, members.ToBytes());
        return true;
    }

    /// <summary>Moves a top-level switch there; one that the client already put there stays, and so does the other, which is ignored.</summary>
    public static void MoveToTemplate(RequestDraft draft, ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> value = draft.Fields.Find(name);
        if (!JsonValue.IsTrue(value) && !JsonValue.IsFalse(value)) return;
        if (SetInTemplate(draft, name, value)) draft.Fields.Remove(name);
    }
}
