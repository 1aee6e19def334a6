using System.Globalization;
using System.Text;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>
/// A request while rules work on it: its top level, its messages (read when a rule first asks), and what is known of whom it goes to.
/// </summary>
internal sealed class RequestDraft(ChatRequest request, UpstreamProfile profile, ModelTraits model, ThinkingWish? wish)
{
    private MessageListDraft? _messages;
    private bool _messagesRead;

    public UpstreamProfile Profile => profile;

    public ModelTraits Model => model;

    public ThinkingWish? Wish => wish;

    public bool JoinsTexts => request.JoinsTexts;

    public JsonObjectDraft Fields { get; } = JsonObjectDraft.From(request.Body, request.Members);

    /// <summary>The conversation; null when it is no array of objects.</summary>
    public MessageListDraft? Messages
    {
        get
        {
            if (!_messagesRead) _messages = Fields.FindMember("messages"u8) is { } member ? MessageListDraft.Read(member.Value) : null;
            _messagesRead = true;
            return _messages;
        }
    }

    /// <summary>
    /// False when the word stands nowhere in the conversation: then there is nothing to read it for, and a mebibyte of it need not be taken apart. An escape
    /// may spell any word.
    /// </summary>
    public bool MessagesMayName(ReadOnlySpan<byte> word) =>
        _messagesRead || (Fields.Find("messages"u8) is var messages && (messages.IndexOf(word) >= 0 || messages.IndexOf("\\u"u8) >= 0));

    public int Edits => Fields.Edits + (_messages?.Edits ?? 0);

    public bool HasTools
    {
        get
        {
            ReadOnlySpan<byte> tools = Fields.Find("tools"u8);
            return JsonValue.IsArray(tools) && !JsonValue.IsEmptyContainer(tools);
        }
    }

    public void Set(ReadOnlySpan<byte> field, ReadOnlySpan<byte> value) => Fields.Set(field, value);

    public void Set(ReadOnlySpan<byte> field, long number) =>
        Fields.Set(field, Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)));

    public void SetIfAbsent(ReadOnlySpan<byte> field, ReadOnlySpan<byte> value)
    {
        if (Fields.Find(field).IsEmpty) Fields.Set(field, value);
    }

    public byte[] ToBytes()
    {
        if (_messages is { Edits: > 0 }) Fields.FindMember("messages"u8)!.SetValue(_messages);
        return Fields.ToBytes();
    }
}
