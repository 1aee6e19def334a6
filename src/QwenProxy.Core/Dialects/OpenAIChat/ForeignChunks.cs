using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>
/// Says the events of another dialect as chunks. Such an event has no chunk to edit, so its parts are said in an envelope of their own, which is then
/// rendered like one that a stage has made.
/// </summary>
/// <param name="created">Seconds since 1970, for clients that show when an answer was made.</param>
public sealed class ForeignChunks(long created) : IDisposable
{
    private const string IdPrefix = "chatcmpl-";

    private readonly ChatEvent _chunk = ChatEvent.Rent();
    private readonly ChatEvent _report = ChatEvent.Rent();
    private byte[] _id = [];
    private byte[] _usage = [];
    private byte[] _model = "\"\""u8.ToArray();

    /// <summary>Passes on what the event says as a chunk, and with the answer's end its usage as another.</summary>
    public void Push(ChatEvent foreign, IEventSink next)
    {
        if (foreign.Kind != EventKind.Chunk) return;
        TakeHead(foreign);
        _chunk.BecomeEnvelope();
        bool finished = false;
        for (PartPlace place = PartPlace.Before; place <= PartPlace.After; place++)
        {
            foreach (ref readonly EventPart part in foreign.Parts)
            {
                if (part.Place != place || part.Removed) continue;
                finished |= part.Kind == PartKind.Finish;
                Say(foreign, part);
            }
        }

        if (_chunk.Parts.Length > 0) next.Push(_chunk);
        if (!foreign.UsageJson.IsEmpty) _usage = foreign.UsageJson.ToArray();
        if (!finished || _usage.Length == 0) return;
        Read(_report, ",\"choices\":[],\"usage\":"u8, _usage);
        next.Push(_report);
    }

    public void Dispose()
    {
        _chunk.Dispose();
        _report.Dispose();
    }

    /// <summary>Id and model come with the first event, the model again where another one goes on.</summary>
    private void TakeHead(ChatEvent foreign)
    {
        bool first = _id.Length == 0;
        if (first)
        {
            string id = foreign.PlainString(foreign.Id);
            int prefix = id.IndexOf('_', StringComparison.Ordinal);
            _id = JsonText.Quote(IdPrefix + id[(prefix + 1)..]);
        }

        if (foreign.Model.Length > 2) _model = foreign.Model.In(foreign.Data.Span).ToArray();
        if (first || foreign.Model.Length > 2) Read(_chunk, ",\"choices\":[],\"usage\":"u8, "null"u8);
    }

    private void Say(ChatEvent foreign, in EventPart part)
    {
        bool isCall = part.Kind == PartKind.ToolCall;
        // Arguments as an object where a string belongs: its text is what the string would have said.
        ReadOnlySpan<byte> token = part.ToolArguments.In(foreign.Data.Span);
        bool isObject = isCall && !part.HasNewText && token.Length > 0 && token[0] == '{';
        string? id = isCall ? part.NewToolId ?? (part.ToolId.Length > 2 ? foreign.PlainString(part.ToolId) : null) : null;
        string? name = isCall ? part.NewToolName ?? (part.ToolName.Length > 2 ? foreign.PlainString(part.ToolName) : null) : null;
        int? index = isCall ? part.NewToolIndex ?? Math.Max(part.ToolIndex, 0) : null;
        _chunk.Add(PartPlace.Before, part.Kind, part.Choice, isObject ? token : foreign.Text(part), index, id, name);
    }

    private void Read(ChatEvent chunk, ReadOnlySpan<byte> members, ReadOnlySpan<byte> usage)
    {
        byte[] json =
        [
            .. "{\"id\":"u8, .. _id, .. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":")),
            .. _model, .. members, .. usage, (byte)'}',
        ];
        byte[] raw = [.. "data: "u8, .. json, .. "\n\n"u8];
        ChatEventDecoder.Decode(new SseFrame { Raw = raw, Data = raw.AsMemory(6, json.Length), DataOffset = 6, HasData = true }, chunk);
    }
}
