using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>What one translation learns on its way: what it left out, what it found out about tools, and the first fault.</summary>
internal sealed class Translation(MessagesOptions options)
{
    private const int MaxNotes = 32;

    public MessagesOptions Options => options;

    public List<string> Dropped { get; } = [];

    public List<string> Quirks { get; } = [];

    /// <summary>Names of tools that the history calls, references or adds: a deferred tool among them has been loaded.</summary>
    public HashSet<string> LoadedTools { get; } = [];

    /// <summary>Tool definitions that stand in the middle of the conversation.</summary>
    public List<byte[]> InlineTools { get; } = [];

    /// <summary>
    /// A document or image that cannot be read is refused where a person has just sent it. In the history, and where a tool brought it in, a note
    /// stands in its place: refusing it there would refuse every later turn of that conversation.
    /// </summary>
    public bool RefuseUnreadable { get; set; } = true;

    public ProxyError? Fault { get; private set; }

    public void Drop(string what)
    {
        if (Dropped.Count < MaxNotes && !Dropped.Contains(what)) Dropped.Add(what);
    }

    /// <summary>A name the client chose goes into a log only when it looks like a name.</summary>
    public void Drop(string kind, ReadOnlySpan<byte> nameToken)
    {
        string name = JsonField.Text(nameToken);
        bool plain = name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.');
        Drop(kind + (plain ? name : "other"));
    }

    public void Apply(string quirk)
    {
        if (!Quirks.Contains(quirk)) Quirks.Add(quirk);
    }

    /// <summary>Notes the first fault; always false, so that readers can return it.</summary>
    public bool Fail(string message, string code = "invalid_request", string? param = null)
    {
        Fault ??= new ProxyError
        {
            Kind = FaultKind.InvalidRequest,
            Source = FaultSource.Downstream,
            Status = 400,
            Code = code,
            Param = param,
            Message = message,
        };
        return false;
    }
}
