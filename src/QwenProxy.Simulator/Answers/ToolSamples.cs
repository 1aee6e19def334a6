using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using QwenProxy.Simulator.Requests;

namespace QwenProxy.Simulator.Answers;

/// <summary>Tool calls that fit the tools a request declares: every required parameter is given a value of its type.</summary>
internal static class ToolSamples
{
    private const int MaxDepth = 6;
    private static readonly ToolDeclaration Weather = new("get_weather",
        """{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["celsius","fahrenheit"]}},"required":["city","unit"]}""");

    private static readonly string[] Words = ["海鸥 at the east quay", "line one\nline two", "C:\\harbour \"log\"", "🚢 plain"];

    /// <summary>
    /// The first <paramref name="count"/> declared tools are called; with fewer tools the last one is called again with other values.
    /// </summary>
    public static IReadOnlyList<SimulatedToolCall> Calls(ModelCall call, int count)
    {
        List<SimulatedToolCall> calls = [];
        for (int i = 0; i < count; i++)
        {
            ToolDeclaration tool = call.Tools.Count == 0 ? Weather : call.Tools[Math.Min(i, call.Tools.Count - 1)];
            string arguments = Arguments(tool.Schema, i);
            calls.Add(new SimulatedToolCall(CallId(tool.Name, arguments, call.ToolRounds, i), tool.Name, arguments));
        }

        return calls;
    }

    /// <summary>Ids follow from what is called, so that a test can tell them beforehand.</summary>
    public static string CallId(string name, string arguments, int round, int number)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{name}\n{arguments}\n{round}\n{number}"));
        return "call_" + Convert.ToHexStringLower(hash.AsSpan(0, 12));
    }

    private static string Arguments(string schema, int seed)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        using (JsonDocument document = JsonDocument.Parse(schema))
            WriteObject(writer, document.RootElement, seed, 0);
        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    private static void WriteObject(Utf8JsonWriter writer, JsonElement schema, int seed, int depth)
    {
        writer.WriteStartObject();
        if (schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("properties", out JsonElement properties)
            && properties.ValueKind == JsonValueKind.Object)
        {
            HashSet<string>? required = Required(schema);
            int number = seed;
            foreach (JsonProperty property in properties.EnumerateObject())
            {
                if (required is not null && !required.Contains(property.Name)) continue;
                writer.WritePropertyName(property.Name);
                WriteValue(writer, property.Value, number++, depth + 1);
            }
        }

        writer.WriteEndObject();
    }

    private static HashSet<string>? Required(JsonElement schema) =>
        schema.TryGetProperty("required", out JsonElement required) && required.ValueKind == JsonValueKind.Array
            ? [.. required.EnumerateArray().Where(r => r.ValueKind == JsonValueKind.String).Select(r => r.GetString()!)] : null;

    private static void WriteValue(Utf8JsonWriter writer, JsonElement schema, int seed, int depth)
    {
        if (schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("enum", out JsonElement choices) && choices.GetArrayLength() > 0)
        {
            choices[seed % choices.GetArrayLength()].WriteTo(writer);
            return;
        }

        switch (depth > MaxDepth ? "null" : TypeOf(schema))
        {
            case "integer": writer.WriteNumberValue(7 + seed); break;
            case "number": writer.WriteNumberValue(7.25m + seed); break;
            case "boolean": writer.WriteBooleanValue(seed % 2 == 0); break;
            case "null": writer.WriteNullValue(); break;
            case "object": WriteObject(writer, schema, seed, depth); break;
            case "array":
                writer.WriteStartArray();
                if (schema.TryGetProperty("items", out JsonElement items)) WriteValue(writer, items, seed, depth + 1);
                writer.WriteEndArray();
                break;
            default: writer.WriteStringValue(Words[seed % Words.Length]); break;
        }
    }

    private static string TypeOf(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object) return "string";
        if (!schema.TryGetProperty("type", out JsonElement type)) return schema.TryGetProperty("properties", out _) ? "object" : "string";
        if (type.ValueKind == JsonValueKind.Array && type.GetArrayLength() > 0) type = type[0];
        return type.ValueKind == JsonValueKind.String ? type.GetString()! : "string";
    }
}
