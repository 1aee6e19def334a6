using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace QwenProxy.Tests.Configuration;

/// <summary>
/// Judges JSON by the part of JSON Schema that our schema uses. A keyword it does not know is an error, so that the schema cannot grow
/// beyond what is checked.
/// </summary>
public sealed class MiniSchema(JsonElement root)
{
    private static readonly string[] s_words = ["$schema", "$defs", "title", "description", "default"];

    /// <summary>What is wrong, one line each.</summary>
    public List<string> Check(JsonElement value)
    {
        List<string> faults = [];
        Check(root, value, "$", faults);
        return faults;
    }

    private void Check(JsonElement schema, JsonElement value, string path, List<string> faults)
    {
        foreach (JsonProperty rule in schema.EnumerateObject())
        {
            if (s_words.Contains(rule.Name)) continue;
            if (!Holds(schema, rule, value, path, faults)) faults.Add($"{path}: {rule.Name} {rule.Value.GetRawText()}");
        }
    }

    private bool Holds(JsonElement schema, JsonProperty rule, JsonElement value, string path, List<string> faults)
    {
        JsonElement want = rule.Value;
        switch (rule.Name)
        {
            case "$ref":
                Check(root.GetProperty("$defs").GetProperty(want.GetString()!["#/$defs/".Length..]), value, path, faults);
                return true;
            case "type": return IsOfType(value, want.GetString()!);
            case "enum": return want.EnumerateArray().Any(e => JsonElement.DeepEquals(e, value));
            case "minimum": return value.ValueKind != JsonValueKind.Number || value.GetDouble() >= want.GetDouble();
            case "exclusiveMinimum": return value.ValueKind != JsonValueKind.Number || value.GetDouble() > want.GetDouble();
            case "maximum": return value.ValueKind != JsonValueKind.Number || value.GetDouble() <= want.GetDouble();
            case "minLength": return value.ValueKind != JsonValueKind.String || value.GetString()!.Length >= want.GetInt32();
            case "pattern": return value.ValueKind != JsonValueKind.String || Regex.IsMatch(value.GetString()!, want.GetString()!);
            case "anyOf": return want.EnumerateArray().Any(one => IsGood(one, value, path));
            case "required":
                return value.ValueKind != JsonValueKind.Object
                || want.EnumerateArray().All(k => value.TryGetProperty(k.GetString()!, out _));
            case "items":
                if (value.ValueKind == JsonValueKind.Array)
                    foreach ((int i, JsonElement item) in value.EnumerateArray().Index())
                        Check(want, item, string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]"), faults);
                return true;
            case "properties":
                if (value.ValueKind == JsonValueKind.Object)
                    foreach (JsonProperty member in value.EnumerateObject().Where(m => want.TryGetProperty(m.Name, out _)))
                        Check(want.GetProperty(member.Name), member.Value, path + "." + member.Name, faults);
                return true;
            case "additionalProperties": return OthersAreGood(schema, want, value, path, faults);
            default: throw new NotSupportedException("keyword " + rule.Name);
        }
    }

    private bool OthersAreGood(JsonElement schema, JsonElement want, JsonElement value, string path, List<string> faults)
    {
        if (value.ValueKind != JsonValueKind.Object) return true;
        JsonProperty[] others = [.. value.EnumerateObject()
            .Where(m => !(schema.TryGetProperty("properties", out JsonElement known) && known.TryGetProperty(m.Name, out _)))];
        if (want.ValueKind == JsonValueKind.False) return others.Length == 0;
        foreach (JsonProperty other in others) Check(want, other.Value, path + "." + other.Name, faults);
        return true;
    }

    private bool IsGood(JsonElement schema, JsonElement value, string path)
    {
        List<string> faults = [];
        Check(schema, value, path, faults);
        return faults.Count == 0;
    }

    private static bool IsOfType(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => throw new NotSupportedException("type " + type),
    };
}
