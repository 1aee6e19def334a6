using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>Where a piece of text stands.</summary>
internal enum Lane
{
    Content,
    Reasoning,
    Arguments,
}

/// <summary>One text delta, with what its transport says about it.</summary>
internal sealed record Delta(string Text)
{
    /// <summary>The key order of a first event.</summary>
    public bool Marked { get; init; }

    public string? FrameId { get; init; }

    /// <summary>A running <c>completion_tokens</c>; -1 sends <c>usage: null</c>.</summary>
    public int Tokens { get; init; } = -1;

    public static implicit operator Delta(string text) => new(text);
}

/// <summary>Writes upstream streams of our own making, in the shape of an OpenAI-compatible Qwen upstream.</summary>
internal static class ChunkWriter
{
    public static string Chunk(
        string deltaJson, bool marked = false, string finish = "null", int choice = 0, string usage = "null", string? frameId = null)
    {
        string head = frameId is null ? "" : $"id:{frameId}\n";
        string body = marked
            ? $"\"finish_reason\":{finish},\"logprobs\":null,\"delta\":{deltaJson},\"index\":{choice}"
            : $"\"delta\":{deltaJson},\"finish_reason\":{finish},\"index\":{choice},\"logprobs\":null";
        return $"{head}data: {{\"choices\":[{{{body}}}],\"object\":\"chat.completion.chunk\",\"usage\":{usage},\"created\":1700000000," +
            "\"system_fingerprint\":null,\"model\":\"qwen-test\",\"id\":\"chatcmpl-1\"}\n\n";
    }

    public static string DeltaJson(Lane lane, string text, bool firstCall = false)
    {
        string json = Quote(text);
        return lane switch
        {
            Lane.Content => $"{{\"content\":{json},\"reasoning_content\":null}}",
            Lane.Reasoning => $"{{\"content\":null,\"reasoning_content\":{json}}}",
            _ when firstCall =>
                "{\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\"," +
                $"\"function\":{{\"name\":\"write\",\"arguments\":{json}}}}}]}}",
            _ => $"{{\"content\":null,\"tool_calls\":[{{\"index\":0,\"id\":\"\",\"type\":\"function\",\"function\":{{\"arguments\":{json}}}}}]}}",
        };
    }

    /// <summary>A whole stream of one lane: role, the deltas, finish, end marker.</summary>
    public static string Stream(Lane lane, IReadOnlyList<Delta> deltas, bool role = true, bool done = true)
    {
        StringBuilder stream = new();
        if (role) stream.Append(Chunk("{\"content\":\"\",\"role\":\"assistant\"}", marked: deltas.Count > 0 && deltas[0].Marked));
        for (int i = 0; i < deltas.Count; i++)
        {
            Delta d = deltas[i];
            string usage = d.Tokens < 0 ? "null" :
                string.Create(CultureInfo.InvariantCulture, $"{{\"prompt_tokens\":9,\"completion_tokens\":{d.Tokens}}}");
            stream.Append(Chunk(DeltaJson(lane, d.Text, i == 0), d.Marked, usage: usage, frameId: d.FrameId));
        }

        stream.Append(Chunk("{\"content\":\"\",\"reasoning_content\":null}", finish: lane == Lane.Arguments ? "\"tool_calls\"" : "\"stop\""));
        return done ? stream.Append("data: [DONE]\n\n").ToString() : stream.ToString();
    }

    /// <summary>Quotes as DashScope does: characters beyond ASCII stay as they are.</summary>
    public static string Quote(string text)
    {
        StringBuilder json = new("\"");
        foreach (char c in text)
        {
            if (c is '"' or '\\') json.Append('\\').Append(c);
            else if (c == '\n') json.Append("\\n");
            else if (c < ' ') json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else json.Append(c);
        }

        return json.Append('"').ToString();
    }

    /// <summary>What a client reads in each lane of choice 0.</summary>
    public static string Read(string stream, Lane lane)
    {
        StringBuilder text = new();
        foreach (string line in stream.Split('\n'))
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            using JsonDocument document = JsonDocument.Parse(line[6..]);
            if (!document.RootElement.TryGetProperty("choices", out JsonElement choices)) continue;
            foreach (JsonElement choice in choices.EnumerateArray())
            {
                if (choice.TryGetProperty("index", out JsonElement index) && index.GetInt32() != 0) continue;
                text.Append(ReadDelta(choice.GetProperty("delta"), lane));
            }
        }

        return text.ToString();
    }

    private static string ReadDelta(JsonElement delta, Lane lane)
    {
        if (lane != Lane.Arguments)
        {
            string name = lane == Lane.Content ? "content" : "reasoning_content";
            return delta.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        }

        if (!delta.TryGetProperty("tool_calls", out JsonElement calls) || calls.ValueKind != JsonValueKind.Array) return "";
        return string.Concat(calls.EnumerateArray().Select(c =>
            c.GetProperty("function").TryGetProperty("arguments", out JsonElement a) && a.ValueKind == JsonValueKind.String ? a.GetString() : ""));
    }
}
