using System.Globalization;
using System.Text;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>
/// A request while rules work on it: its top level, its messages (read when a rule first asks), and what is known of whom it goes to.
/// </summary>
internal sealed class RequestDraft(JsonObjectDraft fields, WireDialect dialect, UpstreamProfile profile, ModelTraits model, ThinkingWish? wish)
{
    private MessageListDraft? _messages;
    private bool _messagesRead;

    public UpstreamProfile Profile => profile;

    public ModelTraits Model => model;

    public ThinkingWish? Wish => wish;

    /// <summary>The wire API the request is written in.</summary>
    public WireDialect Dialect => dialect;

    /// <summary>See <see cref="ChatRequest.JoinsTexts"/>.</summary>
    public bool JoinsTexts { get; init; }

    public JsonObjectDraft Fields => fields;

    /// <summary>The field that says how many tokens the answer may have.</summary>
    public ReadOnlySpan<byte> LimitField => dialect == WireDialect.OpenAIResponses ? "max_output_tokens"u8 : "max_tokens"u8;

    /// <summary>How hard the model is to think, in a word: a JSON string; empty when nothing is said. Messages has no such word that upstreams share.</summary>
    public ReadOnlySpan<byte> Effort
    {
        get
        {
            if (dialect != WireDialect.OpenAIResponses) return fields.Find("reasoning_effort"u8);
            ReadOnlySpan<byte> word = JsonValue.Find(fields.Find("reasoning"u8), "effort"u8);
            return JsonValue.IsNull(word) ? default : word;
        }
    }

    private ReadOnlySpan<byte> History => dialect == WireDialect.OpenAIResponses ? "input"u8 : "messages"u8;

    /// <summary>The conversation, in Responses its items; null when it is no array of objects.</summary>
    public MessageListDraft? Messages
    {
        get
        {
            if (!_messagesRead) _messages = fields.FindMember(History) is { } member ? MessageListDraft.Read(member.Value) : null;
            _messagesRead = true;
            return _messages;
        }
    }

    /// <summary>
    /// False when the word stands nowhere in the conversation: then there is nothing to read it for, and a mebibyte of it need not be taken apart. An escape
    /// may spell any word.
    /// </summary>
    public bool MessagesMayName(ReadOnlySpan<byte> word) =>
        _messagesRead || (Fields.Find(History) is var messages && (messages.IndexOf(word) >= 0 || messages.IndexOf("\\u"u8) >= 0));

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

    public void SetEffort(ReadOnlySpan<byte> word)
    {
        if (dialect != WireDialect.OpenAIResponses)
        {
            fields.Set("reasoning_effort"u8, word);
            return;
        }

        ReadOnlyMemory<byte> reasoning = fields.FindMember("reasoning"u8)?.Value ?? default;
        JsonObjectDraft members = JsonObjectDraft.Read(JsonValue.IsObject(reasoning.Span) ? reasoning : "{}"u8.ToArray());
        members.Set("effort"u8, word);
        fields.Set("reasoning"u8, members.ToBytes());
    }

    public void SetEffortIfAbsent(ReadOnlySpan<byte> word)
    {
        if (Effort.IsEmpty) SetEffort(word);
    }

    public byte[] ToBytes()
    {
        if (_messages is { Edits: > 0 }) fields.FindMember(History)!.SetValue(_messages);
        return Fields.ToBytes();
    }
}
