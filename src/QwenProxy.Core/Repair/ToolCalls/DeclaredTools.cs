using System.Text;
using System.Text.Json;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>The JSON types a parameter's schema allows.</summary>
[Flags]
internal enum JsonTypes
{
    None = 0,
    String = 1,
    Integer = 2,
    Number = 4,
    Boolean = 8,
    Null = 16,
    Object = 32,
    Array = 64,
}

/// <summary>The tools a request declares: their names, and of each parameter the types it may have.</summary>
internal sealed class DeclaredTools
{
    private const int MaxDepth = 16;

    private readonly Dictionary<string, Dictionary<string, JsonTypes>> _tools = new(StringComparer.Ordinal);
    private readonly List<byte[]> _names = [];

    /// <param name="tools">An array in the OpenAI chat shape. What is not readable declares nothing: then nothing is converted.</param>
    public DeclaredTools(ReadOnlyMemory<byte> tools)
    {
        if (tools.IsEmpty) return;
        try
        {
            using JsonDocument document = JsonDocument.Parse(tools);
            if (document.RootElement.ValueKind != JsonValueKind.Array) return;
            foreach (JsonElement tool in document.RootElement.EnumerateArray()) AddTool(tool);
        }
        catch (JsonException)
        {
            // The request's shape is the upstream's to judge; a stage that cannot read it has no declared tool to work for.
            _tools.Clear();
            _names.Clear();
        }
    }

    public bool IsEmpty => _tools.Count == 0;

    public bool Has(string name) => _tools.ContainsKey(name);

    public bool Has(ReadOnlySpan<byte> name)
    {
        foreach (byte[] known in _names)
        {
            if (name.SequenceEqual(known)) return true;
        }

        return false;
    }

    public bool HasParameter(string tool, string parameter) => _tools.TryGetValue(tool, out Dictionary<string, JsonTypes>? known) &&
        known.ContainsKey(parameter);

    /// <summary>The allowed types; <see cref="JsonTypes.None"/> where the schema says nothing.</summary>
    public JsonTypes TypesOf(string tool, string parameter) =>
        _tools.TryGetValue(tool, out Dictionary<string, JsonTypes>? known) ? known.GetValueOrDefault(parameter) : JsonTypes.None;

    /// <summary>True when some declared name begins so.</summary>
    public bool AnyStartsWith(ReadOnlySpan<byte> start) => AnyStartsWith(start, 0);

    /// <summary>True when some declared name is longer and begins so: more of it may come.</summary>
    public bool AnyGoesOn(ReadOnlySpan<byte> start) => AnyStartsWith(start, 1);

    private bool AnyStartsWith(ReadOnlySpan<byte> start, int longer)
    {
        foreach (byte[] name in _names)
        {
            if (name.Length >= start.Length + longer && name.AsSpan().StartsWith(start)) return true;
        }

        return false;
    }

    private void AddTool(JsonElement tool)
    {
        if (tool.ValueKind != JsonValueKind.Object) return;
        JsonElement function = tool.TryGetProperty("function", out JsonElement inner) && inner.ValueKind == JsonValueKind.Object ? inner : tool;
        if (!function.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String ||
            name.GetString() is not { Length: > 0 } text) return;
        Dictionary<string, JsonTypes> parameters = new(StringComparer.Ordinal);
        if (function.TryGetProperty("parameters", out JsonElement schema)) AddParameters(schema, schema, parameters, 0);
        if (_tools.TryAdd(text, parameters)) _names.Add(Encoding.UTF8.GetBytes(text));
    }

    private static void AddParameters(JsonElement root, JsonElement schema, Dictionary<string, JsonTypes> into, int depth)
    {
        if (schema.ValueKind != JsonValueKind.Object || depth > MaxDepth) return;
        if (schema.TryGetProperty("properties", out JsonElement properties) && properties.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in properties.EnumerateObject())
            {
                into[property.Name] = into.GetValueOrDefault(property.Name) | TypesIn(root, property.Value, 0);
            }
        }

        if (schema.TryGetProperty("$ref", out JsonElement reference) && Resolve(root, reference) is { } target)
        {
            AddParameters(root, target, into, depth + 1);
        }

        foreach (string union in (ReadOnlySpan<string>)["anyOf", "oneOf", "allOf"])
        {
            if (!schema.TryGetProperty(union, out JsonElement branches) || branches.ValueKind != JsonValueKind.Array) continue;
            foreach (JsonElement branch in branches.EnumerateArray()) AddParameters(root, branch, into, depth + 1);
        }
    }

    private static JsonTypes TypesIn(JsonElement root, JsonElement schema, int depth)
    {
        if (schema.ValueKind != JsonValueKind.Object || depth > MaxDepth) return JsonTypes.None;
        JsonTypes types = JsonTypes.None;
        if (schema.TryGetProperty("type", out JsonElement type))
        {
            if (type.ValueKind == JsonValueKind.String) types |= Named(type);
            else if (type.ValueKind == JsonValueKind.Array)
            {
                foreach (JsonElement one in type.EnumerateArray()) types |= Named(one);
            }
        }

        if (schema.TryGetProperty("$ref", out JsonElement reference) && Resolve(root, reference) is { } target)
        {
            types |= TypesIn(root, target, depth + 1);
        }

        foreach (string union in (ReadOnlySpan<string>)["anyOf", "oneOf", "allOf"])
        {
            if (!schema.TryGetProperty(union, out JsonElement branches) || branches.ValueKind != JsonValueKind.Array) continue;
            foreach (JsonElement branch in branches.EnumerateArray()) types |= TypesIn(root, branch, depth + 1);
        }

        if (schema.TryGetProperty("nullable", out JsonElement nullable) && nullable.ValueKind == JsonValueKind.True) types |= JsonTypes.Null;
        return types == JsonTypes.None ? Inferred(schema) : types;
    }

    /// <summary>A schema without a type often tells it by what it describes.</summary>
    private static JsonTypes Inferred(JsonElement schema)
    {
        if (schema.TryGetProperty("properties", out _)) return JsonTypes.Object;
        if (schema.TryGetProperty("items", out _)) return JsonTypes.Array;
        JsonTypes types = JsonTypes.None;
        if (schema.TryGetProperty("const", out JsonElement only)) types |= OfValue(only);
        if (schema.TryGetProperty("enum", out JsonElement values) && values.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement value in values.EnumerateArray()) types |= OfValue(value);
        }

        return types;
    }

    private static JsonTypes OfValue(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => JsonTypes.String,
        JsonValueKind.Number => JsonTypes.Number,
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        JsonValueKind.Null => JsonTypes.Null,
        JsonValueKind.Object => JsonTypes.Object,
        JsonValueKind.Array => JsonTypes.Array,
        _ => JsonTypes.None,
    };

    private static JsonTypes Named(JsonElement type) => type.ValueKind != JsonValueKind.String ? JsonTypes.None : type.GetString() switch
    {
        "string" => JsonTypes.String,
        "integer" => JsonTypes.Integer,
        "number" => JsonTypes.Number,
        "boolean" => JsonTypes.Boolean,
        "null" => JsonTypes.Null,
        "object" => JsonTypes.Object,
        "array" => JsonTypes.Array,
        _ => JsonTypes.None,
    };

    /// <summary>Only references inside the same schema, as agents write them: <c>#/$defs/Name</c>.</summary>
    private static JsonElement? Resolve(JsonElement root, JsonElement reference)
    {
        if (reference.ValueKind != JsonValueKind.String || reference.GetString() is not { } path ||
            !path.StartsWith("#/", StringComparison.Ordinal)) return null;
        JsonElement at = root;
        foreach (string step in path[2..].Split('/'))
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(step, out at)) return null;
        }

        return at;
    }
}
