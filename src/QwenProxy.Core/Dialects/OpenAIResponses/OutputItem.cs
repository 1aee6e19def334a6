using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

internal enum OutputKind : byte
{
    Message,
    Reasoning,
    Call,

    /// <summary>The summary that stands for a conversation from here on; the client keeps it and cannot read it.</summary>
    Compaction,

    /// <summary>One that only its upstream knows.</summary>
    Other,
}

/// <summary>One item of an answer while it is said. Its text stays in JSON spelling, so that the final events need not escape it again.</summary>
internal sealed class OutputItem(OutputKind kind) : IDisposable
{
    private int _checkedLength = -1;
    private bool _checkedComplete;

    public OutputKind Kind => kind;

    /// <summary>Its place in the answer, in the order of announcement.</summary>
    public int Index { get; set; }

    /// <summary>Set when the item is announced.</summary>
    public string Id { get; set; } = "";

    /// <summary>What every event about the item's text begins with, behind the sequence number: <c>,"item_id":…,"delta":</c>.</summary>
    public byte[] DeltaHead { get; set; } = [];

    /// <summary>The text, or a call's arguments: the inside of a JSON string.</summary>
    public PooledBytes Inside { get; } = new(512);

    /// <summary>Chat's index of the call; -1 when the upstream gives none.</summary>
    public int ToolIndex { get; init; } = -1;

    public string CallId { get; set; } = "";

    public ToolTarget Tool { get; set; }

    /// <summary>Upstream's own frames announced it.</summary>
    public bool IsPassed { get; init; }

    /// <summary>Upstream's number of the item, as long as upstream's frames speak of it; -1 otherwise.</summary>
    public int Source { get; set; } = -1;

    /// <summary>Its text is not what upstream says it is.</summary>
    public bool IsEdited { get; set; }

    /// <summary>The texts of its parts before the last one, in JSON spelling.</summary>
    public List<byte[]> EarlierParts { get; } = [];

    /// <summary>The client has been told of the item. A call waits for its name; one that never gets any is no call and is left out.</summary>
    public bool Announced { get; set; }

    public bool Closed { get; set; }

    /// <summary>The item as it stands in the answer once it is closed.</summary>
    public byte[] Json { get; set; } = [];

    public ReadOnlySpan<byte> Prefix => kind switch
    {
        OutputKind.Message => "msg_"u8,
        OutputKind.Reasoning => "rs_"u8,
        OutputKind.Compaction => "cmp_"u8,
        _ => Tool.Kind switch { ToolKind.Function => "fc_"u8, ToolKind.Search => "tsc_"u8, _ => "ctc_"u8 },
    };

    /// <summary>The text goes out as it comes. Other items stand inside JSON arguments, or in an envelope, and are known only when they are whole.</summary>
    public bool IsSaidInPieces => kind is OutputKind.Message or OutputKind.Reasoning || (kind == OutputKind.Call && Tool.Kind == ToolKind.Function);

    /// <summary>The text in plain UTF-8.</summary>
    public byte[] Plain()
    {
        using PooledBytes plain = new(Inside.Length + 16);
        JsonText.Unescape(Inside.Span, plain);
        return plain.Span.ToArray();
    }

    /// <summary>A call's arguments are a whole JSON object: nothing is missing from them. Looked at again only after they have grown.</summary>
    public bool HasWholeArguments()
    {
        if (_checkedLength == Inside.Length) return _checkedComplete;
        _checkedLength = Inside.Length;
        byte[] plain = Plain();
        int start = JsonScanner.SkipSpace(plain, 0);
        int end = JsonScanner.SkipValue(plain, start);
        return _checkedComplete = end > 0 && plain[start] == '{' && JsonScanner.SkipSpace(plain, end) == plain.Length;
    }

    /// <summary>A custom tool's input, with quotes.</summary>
    public byte[] CustomInput() => CustomToolText.Read(Inside.Span, Tool);

    /// <summary>What to search for, as an object; one that cannot be read says nothing.</summary>
    private byte[] SearchArguments()
    {
        byte[] plain = Plain();
        return HasWholeArguments() && RawJson.IsWhole(plain) ? RawJson.Compact(plain) : "{}"u8.ToArray();
    }

    public void Dispose() => Inside.Dispose();

    /// <summary>The item's JSON in a state: <c>in_progress</c> when it is announced, <c>completed</c> or <c>incomplete</c> at its end.</summary>
    public byte[] Write(ReadOnlySpan<byte> status, bool whole, bool sealReasoning)
    {
        using PooledBytes json = new(Inside.Length + 256);
        json.Write("{\"id\":"u8);
        json.Write(RawJson.Quote(Id));
        switch (kind)
        {
            case OutputKind.Message:
                json.Write(",\"type\":\"message\",\"status\":\""u8);
                json.Write(status);
                json.Write("\",\"role\":\"assistant\",\"content\":["u8);
                if (whole) WritePart(json);
                json.Write("]"u8);
                break;
            case OutputKind.Reasoning:
                json.Write(",\"type\":\"reasoning\",\"summary\":["u8);
                if (whole) WritePart(json);
                json.Write("]"u8);
                if (whole && sealReasoning) ToolTranslator.WriteMember(json, "encrypted_content"u8, RawJson.Quote(ReasoningEnvelope.Seal(Plain())));
                break;
            case OutputKind.Compaction:
                json.Write(",\"type\":\"compaction\""u8);
                ToolTranslator.WriteMember(json, "encrypted_content"u8, whole ? RawJson.Quote(ReasoningEnvelope.Seal(Plain())) : "\"\""u8);
                break;
            default:
                WriteCall(json, status, whole);
                break;
        }

        json.Write("}"u8);
        return json.Span.ToArray();
    }

    /// <summary>The item's one part: its text, or its summary.</summary>
    public void WritePart(PooledBytes json, bool whole = true)
    {
        if (kind == OutputKind.Message) json.Write("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\""u8);
        else json.Write("{\"type\":\"summary_text\",\"text\":\""u8);
        if (whole) json.Write(Inside.Span);
        json.Write("\"}"u8);
    }

    private void WriteCall(PooledBytes json, ReadOnlySpan<byte> status, bool whole)
    {
        json.Write(Tool.Kind switch
        {
            ToolKind.Function => ",\"type\":\"function_call\",\"status\":\""u8,
            ToolKind.Search => ",\"type\":\"tool_search_call\",\"execution\":\"client\",\"status\":\""u8,
            _ => ",\"type\":\"custom_tool_call\",\"status\":\""u8,
        });
        json.Write(status);
        json.Write("\",\"call_id\":"u8);
        json.Write(RawJson.Quote(CallId));
        if (Tool.Namespace is not null) ToolTranslator.WriteMember(json, "namespace"u8, RawJson.Quote(Tool.Namespace));
        if (Tool.Kind != ToolKind.Search) ToolTranslator.WriteMember(json, "name"u8, RawJson.Quote(Tool.Name));
        if (Tool.IsCustom) ToolTranslator.WriteMember(json, "input"u8, whole ? CustomInput() : "\"\""u8);
        else if (Tool.Kind == ToolKind.Search) ToolTranslator.WriteMember(json, "arguments"u8, whole ? SearchArguments() : "{}"u8);
        else
        {
            json.Write(",\"arguments\":\""u8);
            if (whole) json.Write(Inside.Span);
            json.Write("\""u8);
        }
    }
}
