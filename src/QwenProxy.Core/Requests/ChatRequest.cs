using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests;

/// <summary>
/// An OpenAI chat request as far as the proxy needs to understand it, over the bytes the client sent. What goes upstream is those bytes with
/// a few places replaced; the rest is never parsed into objects and back.
/// </summary>
public sealed class ChatRequest
{
    private ByteRange _model;
    private ByteRange _stream;
    private ByteRange _streamOptions;
    private ByteRange _includeUsage;
    private readonly List<(ByteRange Name, ByteRange Value)> _members = new(24);
    private int _end;

    private ChatRequest(ReadOnlyMemory<byte> body) => Body = body;

    public ReadOnlyMemory<byte> Body { get; }

    /// <summary>The model's name as the client wrote it.</summary>
    public string Model { get; private set; } = "";

    /// <summary>The client wants a stream.</summary>
    public bool Stream { get; private set; }

    /// <summary>The client asked for the usage event.</summary>
    public bool UsageAsked { get; private set; }

    public ByteRange Messages { get; private set; }

    /// <summary>The <c>tools</c> array; empty when absent or null.</summary>
    public ByteRange Tools { get; private set; }

    public ByteRange ResponseFormat { get; private set; }

    /// <summary>
    /// Translated from a dialect whose texts stand in lists for the sake of cache marks: where those mean nothing, a list of texts is one string, which
    /// every model's template can read.
    /// </summary>
    public bool JoinsTexts { get; set; }

    /// <summary>The members of the top level in the order written: the name with its quotes, and the value.</summary>
    internal IReadOnlyList<(ByteRange Name, ByteRange Value)> Members => _members;

    /// <summary>
    /// Reads the top level. Faults are the client's: a body that is no JSON object, a missing or non-string model, a <c>stream</c> that is no boolean.
    /// </summary>
    public static bool TryParse(ReadOnlyMemory<byte> body, out ChatRequest request, out string fault)
    {
        request = new ChatRequest(body);
        ReadOnlySpan<byte> json = body.Span;
        int start = JsonScanner.SkipSpace(json, 0);
        if (start >= json.Length || json[start] != '{')
        {
            fault = json.IsEmpty ? "The request body is empty; send a JSON object." : "The request body is not a JSON object.";
            return false;
        }

        JsonScanner scanner = new(json);
        while (scanner.MoveNext()) request.TakeMember(scanner, json);
        request._end = scanner.Position - 1;
        if (!scanner.AtEnd())
        {
            fault = $"The request body is not valid JSON (near byte {scanner.Position}).";
            return false;
        }

        return request.Check(json, out fault);
    }

    /// <summary>The most tokens the request asks for, under either name; null when it names no number.</summary>
    public long? MaxOutputTokens
    {
        get
        {
            long? most = null;
            foreach ((ByteRange name, ByteRange value) in _members)
            {
                if (TokensOf(name, value) is { } tokens && !(most > tokens)) most = tokens;
            }

            return most;
        }
    }

    /// <summary>The same request asking for no more than this many tokens; itself when it does not.</summary>
    public ChatRequest WithAtMost(long outputTokens)
    {
        if (outputTokens == long.MaxValue) return this;
        JsonSplice? splice = null;
        foreach ((ByteRange name, ByteRange value) in _members)
        {
            if (TokensOf(name, value) > outputTokens) (splice ??= new JsonSplice()).Replace(value, Encoding.ASCII.GetBytes(outputTokens.ToString(CultureInfo.InvariantCulture)));
        }

        if (splice is null) return this;
        using PooledBytes body = new(Body.Length + splice.Growth + 16);
        splice.WriteTo(Body.Span, body);
        return TryParse(body.Span.ToArray(), out ChatRequest lowered, out string fault) ? lowered : throw new UnreachableException(fault);
    }

    /// <summary>The edits that turn the client's body into the upstream's: the account's model name, a stream, and a usage report.</summary>
    public JsonSplice ForUpstream(string model, bool stream, bool includeUsage)
    {
        JsonSplice splice = new();
        if (model != Model) splice.Replace(_model, JsonText.Quote(model));
        StringBuilder tail = new();
        ReadOnlySpan<byte> json = Body.Span;
        if (_stream.IsEmpty)
        {
            if (stream) tail.Append(",\"stream\":true");
        }
        else if (stream != _stream.In(json).SequenceEqual("true"u8)) splice.Replace(_stream, stream ? "true"u8.ToArray() : "false"u8.ToArray());

        if (stream && includeUsage) AskForUsage(splice, tail, json);
        if (!stream && !_streamOptions.IsEmpty) splice.Replace(_streamOptions, "null"u8.ToArray());
        if (tail.Length > 0) splice.Insert(_end, Encoding.UTF8.GetBytes(tail.ToString()));
        return splice;
    }

    private long? TokensOf(ByteRange name, ByteRange value)
    {
        ReadOnlySpan<byte> json = Body.Span;
        ReadOnlySpan<byte> field = name.In(json);
        if (!field.SequenceEqual("\"max_tokens\""u8) && !field.SequenceEqual("\"max_completion_tokens\""u8)) return null;
        return Utf8Parser.TryParse(value.In(json), out long tokens, out int read) && read == value.Length ? tokens : null;
    }

    private void AskForUsage(JsonSplice splice, StringBuilder tail, ReadOnlySpan<byte> json)
    {
        if (_streamOptions.IsEmpty)
        {
            tail.Append(",\"stream_options\":{\"include_usage\":true}");
            return;
        }

        if (UsageAsked) return;
        if (json[_streamOptions.Start] != '{') splice.Replace(_streamOptions, "{\"include_usage\":true}"u8.ToArray());
        else if (!_includeUsage.IsEmpty) splice.Replace(_includeUsage, "true"u8.ToArray());
        else
        {
            bool empty = json[JsonScanner.SkipSpace(json, _streamOptions.Start + 1)] == '}';
            splice.Insert(_streamOptions.Start + 1, empty ? "\"include_usage\":true"u8.ToArray() : "\"include_usage\":true,"u8.ToArray());
        }
    }

    private void TakeMember(in JsonScanner member, ReadOnlySpan<byte> json)
    {
        ByteRange value = member.Value;
        _members.Add((member.Name, value));
        bool isNull = value.In(json).SequenceEqual("null"u8);
        if (member.NameIs("model"u8)) _model = value;
        else if (member.NameIs("stream"u8)) _stream = value;
        else if (member.NameIs("messages"u8)) Messages = value;
        else if (member.NameIs("tools"u8)) Tools = isNull ? default : value;
        else if (member.NameIs("response_format"u8)) ResponseFormat = isNull ? default : value;
        else if (member.NameIs("stream_options"u8))
        {
            _streamOptions = value;
            _includeUsage = default;
            UsageAsked = false;
            JsonScanner options = new(json[..value.End], value.Start);
            while (options.MoveNext())
            {
                if (!options.NameIs("include_usage"u8)) continue;
                _includeUsage = options.Value;
                UsageAsked = options.Value.In(json).SequenceEqual("true"u8);
            }
        }
    }

    private bool Check(ReadOnlySpan<byte> json, out string fault)
    {
        fault = "";
        if (_model.Length < 3 || json[_model.Start] != '"')
        {
            fault = "The request names no model: \"model\" must be a non-empty string.";
            return false;
        }

        using PooledBytes name = new(_model.Length);
        JsonText.Unescape(json[(_model.Start + 1)..(_model.End - 1)], name);
        Model = Encoding.UTF8.GetString(name.Span);
        ReadOnlySpan<byte> stream = _stream.In(json);
        Stream = stream.SequenceEqual("true"u8);
        if (_stream.IsEmpty || Stream || stream.SequenceEqual("false"u8) || stream.SequenceEqual("null"u8)) return true;
        fault = "\"stream\" must be true or false.";
        return false;
    }
}
