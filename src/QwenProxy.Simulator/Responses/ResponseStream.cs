using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Responses;

/// <summary>
/// The events of the Responses API, made of the chunks that the chat dialect would send: each item is added, filled by deltas and closed, and all of it
/// is told once more at the end, as it was said.
/// </summary>
internal sealed class ResponseStream
{
    private readonly StreamHead _head;
    private readonly TokenCount _tokens;
    private readonly Queue<CallPiece> _pieces;
    private readonly List<EventData> _events = [];
    private readonly List<(ResponseItem Item, StringBuilder Text)> _items = [];
    private readonly Dictionary<int, int> _itemOfCall = [];
    private string _open = "";

    private ResponseStream(List<Chunk> chunks, StreamHead head, TokenCount tokens)
    {
        _head = head;
        _tokens = tokens;
        _pieces = CallPiece.Of(chunks);
    }

    public static List<EventData> Of(List<Chunk> chunks, StreamHead head, TokenCount tokens)
    {
        ResponseStream stream = new(chunks, head, tokens);
        foreach (string name in new[] { "response.created", "response.in_progress" })
            stream.Add(name, $",\"response\":{ResponseWriter.Response(head, "in_progress", [], null)}");
        string? finish = null;
        foreach (Chunk chunk in chunks)
        {
            stream.Say(chunk);
            finish ??= chunk.Finish;
        }

        // The last event holds the answer, so it comes when nothing more is said, and not at all where the end is missing.
        if (finish is not (null or "error_finish")) stream.End(finish);
        return stream._events;
    }

    private void Say(Chunk chunk)
    {
        if (chunk.IsForeign)
        {
            if (chunk.Raw![0] == '{' && !chunk.Raw.EndsWith('}')) _events.Add(new EventData("response.output_text.delta", Encoding.UTF8.GetBytes(chunk.Raw)));
            return;
        }

        if (chunk.Finish == "error_finish")
        {
            string failed = ResponseWriter.Response(_head, "failed", [], null);
            string error = $$"""{"code":"server_error","message":{{JsonBuilder.Quote(chunk.Content ?? "")}}}""";
            Add("response.failed", ",\"response\":" + failed.Replace("\"error\":null", "\"error\":" + error, StringComparison.Ordinal));
            return;
        }

        if (chunk.Reasoning is { Length: > 0 } thought) Text("reasoning", thought);
        if (chunk.Content is { } text && (text.Length > 0 || (_open == "message" && chunk.Finish is null))) Text("message", text);
        for (int i = 0; i < chunk.Tools.Count && _pieces.TryDequeue(out CallPiece piece); i++) Call(piece);
        if (chunk.Finish is not null) Close();
    }

    private void Text(string kind, string text)
    {
        if (_open != kind)
        {
            Close();
            _open = kind;
            Open(kind == "message" ? ResponseItem.Message(_head, _items.Count) : ResponseItem.Reasoning(_head, _items.Count));
        }

        Delta(_items.Count - 1, text);
    }

    private void Call(in CallPiece piece)
    {
        if (piece.IsFirst)
        {
            Close();
            _itemOfCall[piece.Call] = _items.Count;
            Open(ResponseItem.Call(piece.Delta.Id ?? "", piece.Delta.Name!));
        }

        int item = _itemOfCall[piece.Call];
        if (!string.IsNullOrEmpty(piece.Delta.Arguments)) Delta(item, piece.Delta.Arguments);
        if (piece.IsLast) Done(item);
    }

    private void Open(ResponseItem item)
    {
        int index = _items.Count;
        _items.Add((item, new StringBuilder()));
        Add("response.output_item.added", $",\"output_index\":{index},\"item\":{item.Added}");
        if (item.PartKind.Length > 0) Add(item.PartEvent + ".added", item.Place(index) + ",\"part\":" + item.Part(""));
    }

    private void Delta(int index, string text)
    {
        (ResponseItem item, StringBuilder said) = _items[index];
        said.Append(text);
        Add(item.TextEvent + ".delta", $"{item.Place(index)},\"delta\":{JsonBuilder.Quote(text)}");
    }

    private void Close()
    {
        if (_open.Length > 0) Done(_items.Count - 1);
        _open = "";
    }

    private void Done(int index)
    {
        (ResponseItem item, StringBuilder said) = _items[index];
        string text = said.ToString();
        Add(item.TextEvent + ".done", $"{item.Place(index)},\"{item.TextMember}\":{JsonBuilder.Quote(text)}");
        if (item.PartKind.Length > 0) Add(item.PartEvent + ".done", item.Place(index) + ",\"part\":" + item.Part(text));
        Add("response.output_item.done", $",\"output_index\":{index},\"item\":{item.Done(text)}");
    }

    private void End(string finish)
    {
        Close();
        string status = ResponseWriter.StatusOf(finish);
        IEnumerable<string> items = _items.Select(i => i.Item.Done(i.Text.ToString()));
        Add("response." + status, $",\"response\":{ResponseWriter.Response(_head, status, items, _tokens, ResponseWriter.IncompleteReason(finish))}");
    }

    private void Add(string name, string members)
    {
        using JsonBuilder json = new();
        json.Raw("{\"type\":"u8).Text(name).Raw(",\"sequence_number\":"u8).Number(_events.Count).Raw(members).Raw("}"u8);
        _events.Add(new EventData(name, json.ToArray()));
    }
}
