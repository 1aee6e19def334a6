using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Blocks as Anthropic's stream events. A delta is three copies: what stands around its text is the same for a whole block.</summary>
internal sealed partial class SseBlockWriter(IBufferWriter<byte> output) : BlockWriter
{
    /// <summary>What a waiting client is sent.</summary>
    public static readonly ReadOnlyMemory<byte> KeepAlive = PingEvent.ToArray();

    private readonly PooledBytes _deltaStart = new(256);
    private int _index;

    public static ReadOnlySpan<byte> PingEvent => "event: ping\ndata: {\"type\": \"ping\"}\n\n"u8;

    private static ReadOnlySpan<byte> Stop => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8;

    private static ReadOnlySpan<byte> DeltaEnd => "\"}}\n\n"u8;

    public override void Start(string id, ReadOnlySpan<byte> modelToken, MessagesUsage usage)
    {
        output.Write("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"u8);
        JsonText.WriteString(Encoding.UTF8.GetBytes(id), output);
        output.Write(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        output.Write(modelToken);
        output.Write(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"u8);
        usage.WriteTo(output);
        output.Write("}}\n\n"u8);
    }

    public override void Open(int index, BlockKind kind, string id, string name)
    {
        _index = index;
        WriteWithIndex("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"u8, output);
        SetDelta(kind);
        switch (kind)
        {
            case BlockKind.Text:
                output.Write(",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"u8);
                break;
            case BlockKind.Thinking:
                output.Write(",\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"u8);
                break;
            default:
                output.Write(",\"content_block\":{\"type\":\"tool_use\",\"id\":"u8);
                JsonText.WriteString(Encoding.UTF8.GetBytes(id), output);
                output.Write(",\"name\":"u8);
                JsonText.WriteString(Encoding.UTF8.GetBytes(name), output);
                output.Write(",\"input\":{}}}\n\n"u8);
                break;
        }
    }

    public override void Append(ReadOnlySpan<byte> inside)
    {
        Flush(_opening);
        int length = _deltaStart.Length + inside.Length + DeltaEnd.Length;
        Span<byte> room = output.GetSpan(length);
        _deltaStart.Span.CopyTo(room);
        inside.CopyTo(room[_deltaStart.Length..]);
        DeltaEnd.CopyTo(room[(_deltaStart.Length + inside.Length)..]);
        output.Advance(length);
    }

    public override void AppendPlain(ReadOnlySpan<byte> utf8)
    {
        Flush(_opening);
        output.Write(_deltaStart.Span);
        JsonText.WriteInside(utf8, output);
        output.Write(DeltaEnd);
    }

    public override void Close(string? signature)
    {
        Flush(_opening);
        if (_closing.Length > 0)
        {
            Flush(_closing);
            return;
        }

        if (signature is not null)
        {
            SetDelta(",\"delta\":{\"type\":\"signature_delta\",\"signature\":\""u8);
            AppendPlain(Encoding.ASCII.GetBytes(signature));
        }

        WriteWithIndex("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"u8, output);
        output.Write("}\n\n"u8);
    }

    public override void End(string stopReason, string? stopSequence, MessagesUsage usage)
    {
        output.Write("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":"u8);
        WriteStop(output, stopReason, stopSequence);
        output.Write("},\"usage\":"u8);
        usage.WriteTo(output);
        output.Write("}\n\n"u8);
        output.Write(Stop);
    }

    public override void Ping() => output.Write(PingEvent);

    public override void Dispose()
    {
        _deltaStart.Dispose();
        _opening.Dispose();
        _closing.Dispose();
    }

    /// <summary><c>{"stop_reason":…,"stop_sequence":…</c> with the brace left open.</summary>
    internal static void WriteStop(IBufferWriter<byte> output, string stopReason, string? stopSequence)
    {
        output.Write("{\"stop_reason\":"u8);
        JsonText.WriteString(Encoding.ASCII.GetBytes(stopReason), output);
        output.Write(",\"stop_sequence\":"u8);
        if (stopSequence is null) output.Write("null"u8);
        else JsonText.WriteString(Encoding.UTF8.GetBytes(stopSequence), output);
    }

    private void SetDelta(BlockKind kind) => SetDelta(kind switch
    {
        BlockKind.Text => ",\"delta\":{\"type\":\"text_delta\",\"text\":\""u8,
        BlockKind.Thinking => ",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\""u8,
        _ => ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\""u8,
    });

    private void SetDelta(ReadOnlySpan<byte> delta)
    {
        _deltaStart.Clear();
        WriteWithIndex("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"u8, _deltaStart);
        _deltaStart.Write(delta);
    }

    private void WriteWithIndex(ReadOnlySpan<byte> opening, IBufferWriter<byte> to)
    {
        to.Write(opening);
        Span<byte> digits = to.GetSpan(11);
        _index.TryFormat(digits, out int length, provider: CultureInfo.InvariantCulture);
        to.Advance(length);
    }
}
