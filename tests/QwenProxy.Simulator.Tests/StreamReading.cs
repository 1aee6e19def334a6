using System.Text;
using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Simulator.Tests;

/// <summary>A chat stream read naively, as a client does that knows nothing of defects.</summary>
internal sealed class StreamReading
{
    public List<string> Data { get; } = [];

    public List<string> Names { get; } = [];

    public string Content { get; private set; } = "";

    public string Reasoning { get; private set; } = "";

    public string? Finish { get; private set; }

    public bool Done { get; private set; }

    public JsonElement? Usage { get; private set; }

    public Dictionary<int, (string Id, string Name, string Arguments)> Calls { get; } = [];

    public static StreamReading Of(byte[] bytes)
    {
        StreamReading reading = new();
        using SseFrameReader reader = new(1 << 24);
        ReadOnlySpan<byte> rest = bytes;
        while (rest.Length > 0)
        {
            Memory<byte> room = reader.GetMemory();
            int count = Math.Min(room.Length, rest.Length);
            rest[..count].CopyTo(room.Span);
            reader.Advance(count);
            rest = rest[count..];
            while (reader.TryRead(out SseFrame frame)) reading.Add(frame);
        }

        if (reader.TryReadLast(out SseFrame last)) reading.Add(last);
        return reading;
    }

    private void Add(SseFrame frame)
    {
        if (!frame.EventName.IsEmpty) Names.Add(Encoding.UTF8.GetString(frame.EventName.Span));
        if (!frame.HasData) return;
        Data.Add(Encoding.UTF8.GetString(frame.Data.Span));
        Done |= frame.IsDone;
        if (frame.IsDone) return;
        JsonElement json = Data[^1].Json();
        if (json.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object) Usage = usage;
        if (!json.TryGetProperty("choices", out JsonElement choices) || choices.GetArrayLength() == 0) return;
        JsonElement choice = choices[0], delta = choice.GetProperty("delta");
        Finish = Text(choice, "finish_reason") ?? Finish;
        Content += Text(delta, "content");
        Reasoning += Text(delta, "reasoning_content");
        if (!delta.TryGetProperty("tool_calls", out JsonElement calls)) return;
        foreach (JsonElement call in calls.EnumerateArray()) AddCall(call);
    }

    private void AddCall(JsonElement call)
    {
        int index = call.TryGetProperty("index", out JsonElement i) ? i.GetInt32() : -1;
        JsonElement function = call.GetProperty("function");
        (string id, string name, string arguments) = Calls.GetValueOrDefault(index, ("", "", ""));
        Calls[index] = (id + Text(call, "id"), name + Text(function, "name"), arguments + Text(function, "arguments"));
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
