using System.Text;
using System.Text.Json;

namespace QwenProxy.Tests.Support;

/// <summary>The tool calls that a client of any dialect reads from a stream or a whole answer.</summary>
internal static class StreamCalls
{
    /// <summary>A call; arguments that are JSON are written without white space, so that all dialects can be compared.</summary>
    public sealed record Call(string Id, string Name, string Arguments)
    {
        public override string ToString() => $"{Name}({Arguments})";
    }

    public static List<Call> Of(string dialect, bool stream, string text) => (dialect, stream) switch
    {
        (Dialect.Chat, true) => OfChunks(StreamText.Events(text)),
        (Dialect.Chat, false) => [.. Items(Root(text).GetProperty("choices")[0].GetProperty("message"), "tool_calls").Select(c => New(c.GetProperty("id"), c.GetProperty("function").GetProperty("name"), c.GetProperty("function").GetProperty("arguments").GetString()!))],
        (Dialect.Messages, true) => OfBlocks(StreamText.Events(text)),
        (Dialect.Messages, false) => [.. Items(Root(text), "content").Where(b => IsType(b, "tool_use")).Select(b => New(b.GetProperty("id"), b.GetProperty("name"), b.GetProperty("input").GetRawText()))],
        (_, true) => [.. StreamText.Events(text).Where(e => IsType(e, "response.output_item.done")).Select(e => e.GetProperty("item")).Where(i => IsType(i, "function_call")).Select(OfItem)],
        _ => [.. Items(Root(text), "output").Where(i => IsType(i, "function_call")).Select(OfItem)],
    };

    private static List<Call> OfChunks(List<JsonElement> chunks)
    {
        SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> calls = [];
        foreach (JsonElement piece in chunks.SelectMany(c => Items(c, "choices")).SelectMany(c => c.TryGetProperty("delta", out JsonElement delta) ? Items(delta, "tool_calls") : []))
        {
            int index = piece.GetProperty("index").GetInt32();
            (string id, string name, StringBuilder arguments) = calls.TryGetValue(index, out (string, string, StringBuilder) known) ? known : ("", "", new StringBuilder());
            JsonElement function = piece.TryGetProperty("function", out JsonElement f) ? f : default;
            arguments.Append(Text(function, "arguments"));
            calls[index] = (id + (id.Length == 0 ? Text(piece, "id") : ""), name + (name.Length == 0 ? Text(function, "name") : ""), arguments);
        }

        return [.. calls.Values.Select(c => new Call(c.Id, c.Name, Compact(c.Arguments.ToString())))];
    }

    private static List<Call> OfBlocks(List<JsonElement> events)
    {
        List<Call> calls = [];
        foreach (JsonElement one in events)
        {
            if (IsType(one, "content_block_start") && one.GetProperty("content_block") is var block && IsType(block, "tool_use")) calls.Add(new Call(block.GetProperty("id").GetString()!, block.GetProperty("name").GetString()!, ""));
            if (IsType(one, "content_block_delta") && one.GetProperty("delta") is var delta && IsType(delta, "input_json_delta")) calls[^1] = calls[^1] with { Arguments = calls[^1].Arguments + delta.GetProperty("partial_json").GetString() };
        }

        return [.. calls.Select(c => c with { Arguments = Compact(c.Arguments) })];
    }

    private static Call OfItem(JsonElement item) => New(item.GetProperty("call_id"), item.GetProperty("name"), item.GetProperty("arguments").GetString()!);

    private static Call New(JsonElement id, JsonElement name, string arguments) => new(id.GetString()!, name.GetString()!, Compact(arguments));

    private static string Compact(string json)
    {
        try
        {
            using JsonDocument parsed = JsonDocument.Parse(json);
            return JsonSerializer.Serialize(parsed.RootElement);
        }
        catch (JsonException)
        {
            return json;
        }
    }

    private static JsonElement Root(string text) => JsonDocument.Parse(text).RootElement;

    private static bool IsType(JsonElement one, string type) => one.TryGetProperty("type", out JsonElement kind) && kind.GetString() == type;

    private static string Text(JsonElement of, string name) => of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : "";

    private static JsonElement[] Items(JsonElement of, string name) => of.TryGetProperty(name, out JsonElement items) && items.ValueKind == JsonValueKind.Array ? [.. items.EnumerateArray()] : [];
}
