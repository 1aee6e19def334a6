using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>A whole message as the events of the stream that an upstream was asked for. What is not known here stays in the frame of its block or of the start.</summary>
internal static class WholeMessage
{
    public static bool TryTell(ReadOnlySpan<byte> message, PooledBytes stream)
    {
        ReadOnlySpan<byte> content = JsonField.Find(message, "content"u8);
        if (!JsonField.StringIs(JsonField.Find(message, "type"u8), "message"u8) || !JsonField.IsArray(content)) return false;
        JsonSplice begun = new();
        Put(begun, message, "content"u8, "[]"u8);
        Put(begun, message, "stop_reason"u8, "null"u8);
        Put(begun, message, "stop_sequence"u8, "null"u8);
        Tell(stream, "message_start"u8, [.. "\"message\":"u8, .. Written(message, begun)]);
        int index = 0;
        JsonScanner blocks = new(content);
        while (blocks.MoveNext()) TellBlock(blocks.Value.In(content), index++, stream);
        ReadOnlySpan<byte> usage = JsonField.Find(message, "usage"u8);
        byte[] counts = usage.IsEmpty ? [] : [.. ",\"usage\":"u8, .. usage];
        byte[] delta = [.. "\"delta\":{\"stop_reason\":"u8, .. OrNull(message, "stop_reason"u8), .. ",\"stop_sequence\":"u8, .. OrNull(message, "stop_sequence"u8), (byte)'}', .. counts];
        Tell(stream, "message_delta"u8, delta);
        EventReader.WriteFrame(stream, "message_stop"u8, "{\"type\":\"message_stop\"}"u8);
        return true;
    }

    private static void TellBlock(ReadOnlySpan<byte> block, int index, PooledBytes stream)
    {
        byte[] at = Encoding.ASCII.GetBytes($"\"index\":{index.ToString(CultureInfo.InvariantCulture)}");
        ReadOnlySpan<byte> type = JsonField.Inside(JsonField.Find(block, "type"u8));
        JsonSplice opening = new();
        bool isText = type.SequenceEqual("text"u8), thinks = type.SequenceEqual("thinking"u8), calls = type.SequenceEqual("tool_use"u8);
        if (isText) Put(opening, block, "text"u8, "\"\""u8);
        if (thinks) Put(opening, block, "thinking"u8, "\"\""u8);
        if (thinks) Put(opening, block, "signature"u8, "\"\""u8);
        if (calls) Put(opening, block, "input"u8, "{}"u8);
        Tell(stream, "content_block_start"u8, [.. at, .. ",\"content_block\":"u8, .. Written(block, opening)]);
        if (isText) TellDelta(stream, at, "text_delta"u8, "text"u8, JsonField.Find(block, "text"u8));
        if (thinks) TellDelta(stream, at, "thinking_delta"u8, "thinking"u8, JsonField.Find(block, "thinking"u8));
        if (thinks) TellDelta(stream, at, "signature_delta"u8, "signature"u8, JsonField.Find(block, "signature"u8));
        if (calls && JsonField.Find(block, "input"u8) is { Length: > 2 } input) TellDelta(stream, at, "input_json_delta"u8, "partial_json"u8, JsonText.Quote(Encoding.UTF8.GetString(input)));
        Tell(stream, "content_block_stop"u8, at);
    }

    private static void TellDelta(PooledBytes stream, byte[] at, ReadOnlySpan<byte> type, ReadOnlySpan<byte> field, ReadOnlySpan<byte> words)
    {
        if (JsonField.Inside(words).IsEmpty) return;
        Tell(stream, "content_block_delta"u8, [.. at, .. ",\"delta\":{\"type\":\""u8, .. type, .. "\",\""u8, .. field, .. "\":"u8, .. words, (byte)'}']);
    }

    private static void Tell(PooledBytes stream, ReadOnlySpan<byte> type, ReadOnlySpan<byte> members) =>
        EventReader.WriteFrame(stream, type, [.. "{\"type\":\""u8, .. type, .. "\","u8, .. members, (byte)'}']);

    private static ReadOnlySpan<byte> OrNull(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => JsonField.Find(json, name) is { IsEmpty: false } value ? value : "null"u8;

    private static void Put(JsonSplice splice, ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        ByteRange place = JsonScanner.Find(json, name);
        if (!place.IsEmpty) splice.Replace(place, value.ToArray());
    }

    private static byte[] Written(ReadOnlySpan<byte> json, JsonSplice splice)
    {
        using PooledBytes written = new(json.Length + Math.Max(0, splice.Growth));
        splice.WriteTo(json, written);
        return written.Span.ToArray();
    }
}
