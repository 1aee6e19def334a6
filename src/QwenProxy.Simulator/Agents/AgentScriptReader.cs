using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace QwenProxy.Simulator.Agents;

/// <summary>
/// Reads a script from JSON:
/// <c>{"withoutTools":"…","turns":[{"text":"…","reasoning":"…","calls":[{"read_file":{"path":"a"},"Read":{"file_path":"a"}}]}]}</c>.
/// Each call is an object of alternatives, tool name to arguments. <c>${name}</c> in the file is replaced by the scenario's parameter of that name.
/// </summary>
internal static class AgentScriptReader
{
    public static AgentScript Read(string json, IReadOnlyDictionary<string, string> parameters)
    {
        foreach ((string name, string value) in parameters)
        {
            string quoted = JsonEncodedText.Encode(value).ToString();
            json = json.Replace("${" + name + "}", quoted, StringComparison.Ordinal);
        }

        using JsonDocument document = JsonDocument.Parse(json,
            new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        JsonElement root = document.RootElement;
        List<AgentTurn> turns = [.. root.GetProperty("turns").EnumerateArray().Select(ReadTurn)];
        AgentScript script = new(turns);
        return Text(root, "withoutTools") is { Length: > 0 } text ? script with { WithoutTools = text } : script;
    }

    private static AgentTurn ReadTurn(JsonElement turn)
    {
        List<AgentCall> calls = [];
        if (turn.TryGetProperty("calls", out JsonElement list))
        {
            foreach (JsonElement call in list.EnumerateArray())
                calls.Add(new AgentCall([.. call.EnumerateObject().Select(a => new AgentTool(a.Name, Compact(a.Value)))]));
        }

        return new AgentTurn(Text(turn, "text"), Text(turn, "reasoning"), calls);
    }

    /// <summary>Without the line breaks of the file: a model writes its arguments on one line.</summary>
    private static string Compact(JsonElement value)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            value.WriteTo(writer);
        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
