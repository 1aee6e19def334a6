using System.Globalization;
using System.Text;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>
/// Thinking in the words of Messages, <c>thinking: {"type": "enabled" | "adaptive" | "disabled"}</c>. Without the field Anthropic's own models do not
/// think and Qwen's do, so what a client means by leaving it out has to be said.
/// </summary>
internal static class MessagesThinking
{
    /// <summary>The least budget the API takes.</summary>
    private const int LeastBudget = 1024;

    private static ReadOnlySpan<byte> Field => "thinking"u8;

    public static void Write(RequestDraft draft)
    {
        if (draft.Wish is not { } wish) return;
        if (wish.Enabled == false)
        {
            if (draft.Model.CanSwitchThinking && !IsDisabled(draft)) SwitchOff(draft);
        }
        else if (wish.Enabled is null) Unsay(draft);
        else if (draft.Model.CanSwitchThinking && draft.Fields.Find(Field).IsEmpty) SwitchOn(draft);
    }

    /// <summary>Leaves it to the model, which refuses to be told not to think.</summary>
    public static void Unsay(RequestDraft draft)
    {
        if (IsDisabled(draft)) draft.Fields.Remove(Field);
    }

    public static void SwitchOff(RequestDraft draft) => draft.Set(Field, "{\"type\":\"disabled\"}"u8);

    public static bool IsOn(RequestDraft draft)
    {
        if (draft.Model.Thinking == Catalogue.ThinkingMode.Always) return true;
        return draft.Fields.Find(Field).IsEmpty ? draft.Model.Thinking == Catalogue.ThinkingMode.OnByDefault : !IsDisabled(draft);
    }

    public static bool IsAskedFor(RequestDraft draft) => !draft.Fields.Find(Field).IsEmpty && !IsDisabled(draft);

    private static bool IsDisabled(RequestDraft draft) => JsonValue.StringIs(JsonValue.Find(draft.Fields.Find(Field), "type"u8), "disabled"u8);

    /// <summary>Half of the answer at most: the API counts thinking into it. One too short for the least budget gets none.</summary>
    private static void SwitchOn(RequestDraft draft)
    {
        if (!long.TryParse(draft.Fields.Find(draft.LimitField), NumberStyles.None, CultureInfo.InvariantCulture, out long most) || most <= LeastBudget) return;
        long budget = Math.Max(LeastBudget, most / 2);
        draft.Set(Field, Encoding.ASCII.GetBytes($"{{\"type\":\"enabled\",\"budget_tokens\":{budget.ToString(CultureInfo.InvariantCulture)}}}"));
    }
}
