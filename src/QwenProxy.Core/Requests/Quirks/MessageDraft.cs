using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

internal enum MessageRole
{
    Other,
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// <summary>
/// A tool call in an assistant message. <see cref="Function"/> and <see cref="Arguments"/> are places in the message; empty when absent.
/// </summary>
internal readonly record struct CallDraft(string Id, ByteRange Function, ByteRange Arguments);

/// <summary>One message: its bytes, and where in them the members stand that rules ask for.</summary>
internal sealed class MessageDraft : JsonItem
{
    private ByteRange _role;
    private ByteRange _content;
    private ByteRange _calls;
    private ByteRange _callId;
    private List<CallDraft>? _callList;

    private MessageDraft()
    {
    }

    public MessageDraft(ReadOnlyMemory<byte> raw) => Replace(raw);

    public ReadOnlyMemory<byte> Raw { get; private set; }

    public override int Length => Raw.Length;

    public MessageRole Role { get; private set; }

    public bool HasReasoningContent { get; private set; }

    public bool HasReasoning { get; private set; }

    public ReadOnlyMemory<byte> Content => In(_content);

    /// <summary>The call that a tool message answers; empty when it names none.</summary>
    public string CallId => JsonValue.Text(In(_callId).Span);

    public bool HasCalls => _calls.Length > 0 && JsonValue.IsArray(In(_calls).Span);

    /// <summary>The calls of an assistant message.</summary>
    public IReadOnlyList<CallDraft> Calls => _callList ??= ReadCalls();

    /// <summary>
    /// Reads the message that starts at <paramref name="start"/>. Null when there is no object there; <paramref name="end"/> is behind it.
    /// </summary>
    public static MessageDraft? Read(ReadOnlyMemory<byte> array, int start, int gapStart, out int end)
    {
        MessageDraft message = new() { Start = start, GapStart = gapStart };
        end = message.Scan(array.Span, start);
        if (end < 0) return null;
        message.Raw = array[start..end];
        message.Shift(start);
        return message;
    }

    public void Replace(ReadOnlyMemory<byte> raw)
    {
        Raw = raw;
        Scan(raw.Span, 0);
    }

    public override void CopyTo(Span<byte> output) => Raw.Span.CopyTo(output);

    private ReadOnlyMemory<byte> In(ByteRange range) => Raw.Slice(range.Start, range.Length);

    private int Scan(ReadOnlySpan<byte> json, int start)
    {
        if (start >= json.Length || json[start] != '{') return -1;
        _role = _content = _calls = _callId = default;
        _callList = null;
        HasReasoningContent = HasReasoning = false;
        JsonScanner members = new(json, start);
        while (members.MoveNext())
        {
            if (members.NameIs("role"u8)) _role = members.Value;
            else if (members.NameIs("content"u8)) _content = members.Value;
            else if (members.NameIs("tool_calls"u8)) _calls = members.Value;
            else if (members.NameIs("tool_call_id"u8)) _callId = members.Value;
            else if (members.NameIs("reasoning_content"u8)) HasReasoningContent = members.Value.Length > 2 && json[members.Value.Start] == '"';
            else if (members.NameIs("reasoning"u8)) HasReasoning = members.Value.Length > 2 && json[members.Value.Start] == '"';
        }

        if (members.Failed) return -1;
        Role = RoleOf(JsonValue.Inside(_role.In(json)));
        return members.Position;
    }

    private static MessageRole RoleOf(ReadOnlySpan<byte> name)
    {
        if (name.SequenceEqual("user"u8)) return MessageRole.User;
        if (name.SequenceEqual("assistant"u8)) return MessageRole.Assistant;
        if (name.SequenceEqual("tool"u8)) return MessageRole.Tool;
        if (name.SequenceEqual("system"u8)) return MessageRole.System;
        return name.SequenceEqual("developer"u8) ? MessageRole.Developer : MessageRole.Other;
    }

    private void Shift(int by)
    {
        _role = _role.Shift(by);
        _content = _content.Shift(by);
        _calls = _calls.Shift(by);
        _callId = _callId.Shift(by);
    }

    private List<CallDraft> ReadCalls()
    {
        List<CallDraft> calls = [];
        if (!HasCalls) return calls;
        ReadOnlySpan<byte> json = Raw.Span[.._calls.End];
        int at = JsonScanner.SkipSpace(json, _calls.Start + 1);
        while (at < json.Length && json[at] == '{')
        {
            calls.Add(ReadCall(json, ref at));
            at = JsonScanner.SkipSpace(json, at);
            if (at < json.Length && json[at] == ',') at = JsonScanner.SkipSpace(json, at + 1);
        }

        return calls;
    }

    /// <summary>Arguments can be long: each level is walked once. What is not JSON ends the list.</summary>
    private static CallDraft ReadCall(ReadOnlySpan<byte> json, ref int at)
    {
        ByteRange id = default, function = default, arguments = default;
        JsonScanner call = new(json, at);
        while (call.MoveNext())
        {
            if (call.NameIs("id"u8)) id = call.Value;
            else if (call.NameIs("function"u8)) function = call.Value;
        }

        at = call.Failed ? json.Length : call.Position;
        if (!function.IsEmpty && json[function.Start] == '{')
        {
            JsonScanner members = new(json, function.Start);
            while (members.MoveNext())
            {
                if (members.NameIs("arguments"u8)) arguments = members.Value;
            }

            if (members.Failed) function = default;
        }

        return new CallDraft(JsonValue.Text(id.In(json)), function, arguments);
    }
}

/// <summary>The conversation.</summary>
internal sealed class MessageListDraft : JsonItems<MessageDraft>
{
    private MessageListDraft(ReadOnlyMemory<byte> source)
        : base(source, 1, 1)
    {
    }

    /// <summary>
    /// Reads an array of objects in one pass. Null when it is something else: then no rule understands it, and upstream says what is wrong.
    /// </summary>
    public static MessageListDraft? Read(ReadOnlyMemory<byte> array)
    {
        ReadOnlySpan<byte> json = array.Span;
        if (!JsonValue.IsArray(json)) return null;
        MessageListDraft list = new(array);
        int at = JsonScanner.SkipSpace(json, 1);
        int before = -1;
        while (at < json.Length && json[at] != ']')
        {
            if (before >= 0)
            {
                if (json[at] != ',') return null;
                at = JsonScanner.SkipSpace(json, at + 1);
            }
            else list.Lead = at;

            if (MessageDraft.Read(array, at, before, out int end) is not { } message) return null;
            list.Load(message);
            before = end;
            at = JsonScanner.SkipSpace(json, end);
        }

        if (before >= 0) list.Tail = before;
        return list;
    }

    public void Replace(MessageDraft message, ReadOnlyMemory<byte> raw)
    {
        message.Replace(raw);
        Edits++;
    }

    public void SetRole(MessageDraft message, ReadOnlySpan<byte> role) => SetMember(message, "role"u8, JsonValue.Quote(role));

    public void SetContent(MessageDraft message, ReadOnlySpan<byte> content) => SetMember(message, "content"u8, content);

    private void SetMember(MessageDraft message, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        JsonObjectDraft members = JsonObjectDraft.Read(message.Raw);
        members.Set(name, value);
        if (members.Edits > 0) Replace(message, members.ToBytes());
    }
}
