using System.Text;
using System.Text.Json;

namespace QwenProxy.Tests.Support;

/// <summary>What a client makes of an event stream: the text, the errors and the ids, in whichever of the three dialects.</summary>
internal static class StreamText
{
    /// <summary>The JSON of every event's data, without end marks. Lines may end in LF, CR or both, and data may stand on several lines.</summary>
    public static List<JsonElement> Events(string sse)
    {
        List<JsonElement> events = [];
        StringBuilder data = new();
        foreach (string line in sse.TrimStart('\uFEFF').Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n').Split('\n'))
        {
            if (line.StartsWith("data:", StringComparison.Ordinal)) data.Append(line.AsSpan(5)).Append('\n');
            if (line.Length > 0 || data.Length == 0) continue;
            string text = data.ToString().Trim();
            data.Clear();
            if (text is "[DONE]" or "") continue;
            using JsonDocument json = JsonDocument.Parse(text);
            events.Add(json.RootElement.Clone());
        }

        return events;
    }

    /// <summary>The text of choice 0, from chat chunks, Messages text deltas or Responses text deltas.</summary>
    public static string Content(string sse) => Join(sse, "content", "text_delta", "text", "response.output_text.delta");

    /// <summary>The reasoning of choice 0.</summary>
    public static string Reasoning(string sse) => Join(sse, "reasoning_content", "thinking_delta", "thinking", "response.reasoning_summary_text.delta");

    /// <summary>The arguments of the tool call with this index, from chat chunks.</summary>
    public static string Arguments(string sse, int index = 0)
    {
        StringBuilder text = new();
        foreach (JsonElement call in Deltas(sse).SelectMany(d => d.TryGetProperty("tool_calls", out JsonElement calls) && calls.ValueKind == JsonValueKind.Array ? [.. calls.EnumerateArray()] : Array.Empty<JsonElement>()))
        {
            if (call.TryGetProperty("index", out JsonElement at) && at.GetInt32() != index) continue;
            if (call.TryGetProperty("function", out JsonElement function) && function.TryGetProperty("arguments", out JsonElement piece) && piece.ValueKind == JsonValueKind.String) text.Append(piece.GetString());
        }

        return text.ToString();
    }

    /// <summary>The error object of the stream or body; null when there is none.</summary>
    public static JsonElement? Error(string text)
    {
        IEnumerable<JsonElement> all = text.TrimStart().StartsWith('{') ? [JsonDocument.Parse(text).RootElement] : Events(text);
        foreach (JsonElement one in all)
        {
            if (one.TryGetProperty("error", out JsonElement error) && error.ValueKind == JsonValueKind.Object) return error;
            if (one.TryGetProperty("response", out JsonElement response) && response.TryGetProperty("error", out error) && error.ValueKind == JsonValueKind.Object) return error;
        }

        return null;
    }

    /// <summary>A terminal event of any dialect: the stream says that it is complete.</summary>
    public static bool IsComplete(string sse) =>
        sse.Contains("data: [DONE]", StringComparison.Ordinal) || sse.Contains("data:[DONE]", StringComparison.Ordinal) || sse.Contains("\"message_stop\"", StringComparison.Ordinal)
        || sse.Contains("\"response.completed\"", StringComparison.Ordinal) || sse.Contains("\"response.incomplete\"", StringComparison.Ordinal);

    private static IEnumerable<JsonElement> Deltas(string sse) =>
        from one in Events(sse)
        where one.TryGetProperty("choices", out JsonElement choices) && choices.ValueKind == JsonValueKind.Array && choices.GetArrayLength() > 0
        let delta = one.GetProperty("choices")[0].TryGetProperty("delta", out JsonElement d) ? d : default
        where delta.ValueKind == JsonValueKind.Object
        select delta;

    private static string Join(string sse, string chatField, string messagesType, string messagesField, string responsesType)
    {
        StringBuilder text = new();
        foreach (JsonElement delta in Deltas(sse))
        {
            if (delta.TryGetProperty(chatField, out JsonElement piece) && piece.ValueKind == JsonValueKind.String) text.Append(piece.GetString());
        }

        foreach (JsonElement one in Events(sse))
        {
            if (!one.TryGetProperty("type", out JsonElement type)) continue;
            if (type.GetString() == responsesType) text.Append(one.GetProperty("delta").GetString());
            if (type.GetString() == "content_block_delta" && one.GetProperty("delta") is var delta && delta.GetProperty("type").GetString() == messagesType) text.Append(delta.GetProperty(messagesField).GetString());
        }

        return text.ToString();
    }
}
