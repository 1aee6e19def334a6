using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>A whole response as the events of the stream that an upstream was asked for: each item announced, told and closed, and all of it once more at the end.</summary>
internal sealed class WholeResponse(PooledBytes stream)
{
    private int _number;

    public static bool TryTell(ReadOnlySpan<byte> response, PooledBytes stream)
    {
        RawJson whole = new(response.ToArray());
        RawJson status = whole.Member("status"u8), output = whole.Member("output"u8);
        bool ended = status.IsText("completed"u8) || status.IsText("incomplete"u8) || status.IsText("failed"u8);
        if (!whole.Member("object"u8).IsText("response"u8) || !output.IsArray || !ended) return false;
        WholeResponse telling = new(stream);
        telling.Tell("response.created", [.. "\"response\":"u8, .. Begun(whole, [("status", "\"in_progress\""), ("output", "[]"), ("usage", "null"), ("error", "null"), ("incomplete_details", "null")])]);
        int index = 0;
        foreach (RawJson item in output.Items()) telling.TellItem(item, index++);
        telling.Tell("response." + status.Text(), [.. "\"response\":"u8, .. whole.Span]);
        return true;
    }

    private void TellItem(RawJson item, int index)
    {
        string place = $"\"output_index\":{index.ToString(CultureInfo.InvariantCulture)}";
        string told = $"\"item_id\":{Or(item.Member("id"u8), "\"\"")},{place}";
        byte[] begun = Begun(item, [("status", "\"in_progress\""), ("content", "[]"), ("summary", "[]"), ("arguments", "\"\"")]);
        Tell("response.output_item.added", [.. Utf8(place), .. ",\"item\":"u8, .. begun]);
        RawJson type = item.Member("type"u8);
        if (type.IsText("function_call"u8)) TellText("response.function_call_arguments", told, "arguments", item.Member("arguments"u8));
        if (type.IsText("reasoning"u8)) TellParts(item.Member("summary"u8), told, "summary_index", "response.reasoning_summary_part", "response.reasoning_summary_text");
        if (type.IsText("reasoning"u8)) TellParts(item.Member("content"u8), told, "content_index", "response.content_part", "response.reasoning_text");
        if (type.IsText("message"u8)) TellParts(item.Member("content"u8), told, "content_index", "response.content_part", "response.output_text");
        Tell("response.output_item.done", [.. Utf8(place), .. ",\"item\":"u8, .. item.Span]);
    }

    private void TellParts(RawJson parts, string place, string counter, string partEvent, string textEvent)
    {
        int number = 0;
        foreach (RawJson part in parts.Items())
        {
            string at = $"{place},\"{counter}\":{number++.ToString(CultureInfo.InvariantCulture)}";
            Tell(partEvent + ".added", [.. Utf8(at), .. ",\"part\":"u8, .. Begun(part, [("text", "\"\"")])]);
            TellText(textEvent, at, "text", part.Member("text"u8));
            Tell(partEvent + ".done", [.. Utf8(at), .. ",\"part\":"u8, .. part.Span]);
        }
    }

    private void TellText(string name, string place, string member, RawJson text)
    {
        if (!text.IsString) return;
        Tell(name + ".delta", [.. Utf8(place), .. ",\"delta\":"u8, .. text.Span]);
        Tell(name + ".done", [.. Utf8($"{place},\"{member}\":"), .. text.Span]);
    }

    private void Tell(string name, ReadOnlySpan<byte> members) =>
        EventReader.WriteFrame(stream, Utf8(name), [.. Utf8($"{{\"type\":\"{name}\",\"sequence_number\":{_number++.ToString(CultureInfo.InvariantCulture)},"), .. members, (byte)'}']);

    /// <summary>The object as it was before it said anything.</summary>
    private static byte[] Begun(RawJson json, ReadOnlySpan<(string Name, string Value)> values)
    {
        JsonSplice splice = new();
        foreach ((string name, string value) in values)
        {
            ByteRange place = JsonScanner.Find(json.Span, Utf8(name));
            if (!place.IsEmpty) splice.Replace(place, Utf8(value));
        }

        using PooledBytes written = new(json.Span.Length + Math.Max(0, splice.Growth));
        splice.WriteTo(json.Span, written);
        return written.Span.ToArray();
    }

    private static string Or(RawJson value, string otherwise) => value.IsString ? Encoding.UTF8.GetString(value.Span) : otherwise;

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
