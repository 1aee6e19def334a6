using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Messages;

/// <summary>
/// The events of Anthropic's stream, made of the chunks that the chat dialect would send: whatever a scenario did to those happens here as well, piece
/// by piece.
/// </summary>
internal sealed class MessageStream
{
    private readonly StreamHead _head;
    private readonly TokenCount _tokens;
    private readonly Queue<CallPiece> _pieces;
    private readonly List<EventData> _events = [];
    private readonly Dictionary<int, int> _blockOfCall = [];
    private string _open = "";
    private int _blocks;

    private MessageStream(List<Chunk> chunks, StreamHead head, TokenCount tokens)
    {
        _head = head;
        _tokens = tokens;
        _pieces = CallPiece.Of(chunks);
    }

    /// <param name="chunks">What is said.</param>
    /// <param name="head">Ids and model.</param>
    /// <param name="tokens">What it costs.</param>
    /// <param name="stop">False leaves <c>message_stop</c> out.</param>
    public static List<EventData> Of(List<Chunk> chunks, StreamHead head, TokenCount tokens, bool stop)
    {
        MessageStream stream = new(chunks, head, tokens);
        stream.Start();
        foreach (Chunk chunk in chunks) stream.Say(chunk);
        if (stop) stream.Add("message_stop", "");
        return stream._events;
    }

    /// <summary>Means something to this server only.</summary>
    public static string Signature(StreamHead head) => "sig-" + head.Uuid;

    private void Start()
    {
        using JsonBuilder json = new();
        json.Raw("{\"type\":\"message_start\",\"message\":{\"id\":"u8).Text("msg_" + _head.Uuid)
            .Raw(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        json.Text(_head.Model).Raw(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":"u8).Number(_tokens.Prompt);
        _events.Add(new EventData("message_start", json.Raw(",\"output_tokens\":1}}}"u8).ToArray()));
    }

    private void Say(Chunk chunk)
    {
        if (chunk.IsForeign)
        {
            // A chunk without choices is a sign of life; what is broken is broken in any dialect.
            if (chunk.Raw!.EndsWith('}')) Add("ping", "");
            else if (chunk.Raw != "[DONE]") _events.Add(new EventData("content_block_delta", Encoding.UTF8.GetBytes(chunk.Raw)));
            return;
        }

        if (chunk.Finish == "error_finish")
        {
            Add("error", ",\"error\":{\"type\":\"api_error\",\"message\":" + JsonBuilder.Quote(chunk.Content ?? "") + "}");
            return;
        }

        if (chunk.Reasoning is { Length: > 0 } thought) Text("thinking", """{"type":"thinking","thinking":"","signature":""}""", thought);
        if (chunk.Content is { } text && (text.Length > 0 || (_open == "text" && chunk.Finish is null))) Text("text", """{"type":"text","text":""}""", text);
        for (int i = 0; i < chunk.Tools.Count && _pieces.TryDequeue(out CallPiece piece); i++) Call(piece);
        if (chunk.Finish is not null) Finish(chunk.Finish);
    }

    private void Text(string kind, string block, string text)
    {
        if (_open != kind)
        {
            Close();
            _open = kind;
            Open(block);
        }

        Delta(_blocks - 1, kind + "_delta", kind, text);
    }

    private void Call(in CallPiece piece)
    {
        if (piece.IsFirst)
        {
            Close();
            _blockOfCall[piece.Call] = _blocks;
            Open("{\"type\":\"tool_use\",\"id\":" + JsonBuilder.Quote(piece.Delta.Id ?? "") + ",\"name\":" + JsonBuilder.Quote(piece.Delta.Name!) + ",\"input\":{}}");
        }

        int block = _blockOfCall[piece.Call];
        if (!string.IsNullOrEmpty(piece.Delta.Arguments)) Delta(block, "input_json_delta", "partial_json", piece.Delta.Arguments);
        if (piece.IsLast) Add("content_block_stop", $",\"index\":{block}");
    }

    private void Open(string block)
    {
        Add("content_block_start", $",\"index\":{_blocks},\"content_block\":{block}");
        if (_blocks++ == 0) Add("ping", "");
    }

    private void Delta(int block, string type, string field, string text) =>
        Add("content_block_delta", $$""","index":{{block}},"delta":{"type":"{{type}}","{{field}}":{{JsonBuilder.Quote(text)}}}""");

    /// <summary>Ends the text or thinking that is open.</summary>
    private void Close()
    {
        if (_open == "thinking") Delta(_blocks - 1, "signature_delta", "signature", Signature(_head));
        if (_open.Length > 0) Add("content_block_stop", $",\"index\":{_blocks - 1}");
        _open = "";
    }

    private void Finish(string finish)
    {
        Close();
        string reason = JsonBuilder.Quote(MessageWriter.StopReason(finish));
        Add("message_delta", $$$"""
            ,"delta":{"stop_reason":{{{reason}}},"stop_sequence":null},"usage":{"output_tokens":{{{_tokens.Completion}}}}
            """);
    }

    private void Add(string name, string members)
    {
        using JsonBuilder json = new();
        _events.Add(new EventData(name, json.Raw("{\"type\":"u8).Text(name).Raw(members).Raw("}"u8).ToArray()));
    }
}
