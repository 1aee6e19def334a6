using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>Who speaks with what authority, and where.</summary>
internal static class SystemRules
{
    private static ReadOnlySpan<byte> PlainOpening =>
        "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"You are a helpful assistant.\"}]}"u8;

    public static QuirkRule[] All { get; } =
    [
        new("developer-role", "Sends the role developer as system, where it is refused.", (p, _) => p.RefusesDeveloperRole, RenameDeveloper) { Responses = RenameDeveloper },
        new(
            "one-system-message",
            "Merges the system messages that open a conversation into its first message; a later one becomes the user's.",
            (p, m) => ModelPattern.MatchesAny(p.SystemOnlyFirstModels, m),
            Merge) { Messages = SayAsUser },
        new(
            "portal-system-parts",
            "Gives the portal what it asks for first: a system message made of parts.",
            (p, _) => p.WantsSystemFirstAndPlainText,
            OpenWithParts),
    ];

    private static void RenameDeveloper(RequestDraft draft)
    {
        if (!draft.MessagesMayName("developer"u8) || draft.Messages is not { } messages) return;
        foreach (MessageDraft message in messages.Items)
        {
            if (message.Role == MessageRole.Developer) messages.SetRole(message, "system"u8);
        }
    }

    /// <summary>
    /// What comes before the first answer belongs to the opening and is the same in every turn, so that it may move to the front without costing the
    /// prompt cache anything. What comes later may not: each one would change the first bytes of the prompt, and every cached token after them.
    /// It stays where it is, in the user's voice, which templates accept anywhere.
    /// </summary>
    private static void Merge(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        List<MessageDraft> opening = [];
        bool answered = false;
        foreach (MessageDraft message in messages.Items)
        {
            answered |= message.Role is MessageRole.Assistant or MessageRole.Tool;
            if (message.Role != MessageRole.System) continue;
            if (!answered) opening.Add(message);
            else messages.SetRole(message, "user"u8);
        }

        if (opening.Count == 0 || (opening.Count == 1 && messages.Items[0] == opening[0])) return;
        HashSet<MessageDraft> moved = [.. opening];
        MessageDraft[] others = [.. messages.Items.Where(m => !moved.Contains(m))];
        if (opening.Count > 1) messages.SetContent(opening[0], ContentText.Join([.. opening.Select(m => m.Content)]));
        messages.Rearrange([opening[0], .. others]);
    }

    /// <summary>
    /// Messages has its system text beside the conversation. What stands in the conversation with that role stays in its place, where agents send the
    /// same bytes each turn.
    /// </summary>
    private static void SayAsUser(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        foreach (MessageDraft message in messages.Items)
        {
            if (message.Role == MessageRole.System) messages.SetRole(message, "user"u8);
        }
    }

    private static void OpenWithParts(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        if (messages.Items.Count == 0 || messages.Items[0].Role != MessageRole.System)
        {
            messages.Insert(0, new MessageDraft(PlainOpening.ToArray()));
            return;
        }

        MessageDraft first = messages.Items[0];
        if (ContentText.ToParts(first.Content.Span) is { } parts) messages.SetContent(first, parts);
    }
}
