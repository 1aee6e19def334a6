using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// The input of a custom tool's call. The model was given a function with one argument, <c>input</c>; models that know the tool from elsewhere
/// name the argument as they like, or write no object at all.
/// </summary>
internal static class CustomToolText
{
    /// <summary>Tools whose input is known to be no JSON, declared with a grammar or not: a patch and a script.</summary>
    private static readonly HashSet<string> PlainNames = new(StringComparer.Ordinal) { "apply_patch", "exec" };

    /// <summary>A tool's input cannot be JSON: the tool is known, or its grammar has no brace that could open an object.</summary>
    public static bool IsPlain(string name, RawJson grammar)
    {
        if (PlainNames.Contains(name)) return true;
        if (!grammar.IsString) return false;
        string text = grammar.Text();
        return !text.Contains("json", StringComparison.OrdinalIgnoreCase) && !((string[])["\"{\"", "'{'", "\\{", "[{", "\"{"]).Any(b => text.Contains(b, StringComparison.Ordinal));
    }

    /// <summary>The input as a JSON string with its quotes.</summary>
    /// <param name="inside">What the model wrote as arguments: the inside of a JSON string.</param>
    /// <param name="tool">The tool it called.</param>
    public static byte[] Read(ReadOnlySpan<byte> inside, in ToolTarget tool)
    {
        using PooledBytes plain = new(inside.Length + 16);
        JsonText.Unescape(inside, plain);
        ReadOnlySpan<byte> arguments = plain.Span.Trim(" \t\r\n"u8);
        if (arguments.IsEmpty) return "\"\""u8.ToArray();
        if (RawJson.IsWhole(arguments) && Find(new RawJson(arguments.ToArray()), tool, 0) is { } input) return input;
        return [(byte)'"', .. inside, (byte)'"'];
    }

    /// <summary>The text in a value; null where the value itself may be what the tool wants.</summary>
    private static byte[]? Find(RawJson value, in ToolTarget tool, int depth)
    {
        if (depth > 4) return null;
        if (value.IsString) return FindInText(value, tool, depth);
        if (value.IsArray)
        {
            List<RawJson> items = value.Items();
            bool isCommand = items.Count == 2 && items[0].IsString && items[0].Text() == tool.Name;
            return tool.Kind == ToolKind.PlainCustom && (isCommand || (items.Count == 1 && depth == 0)) ? Find(items[^1], tool, depth + 1) : null;
        }

        if (!value.IsObject) return null;
        if (value.Member("input"u8) is { Span.IsEmpty: false } input) return Find(input, tool, depth + 1);
        JsonScanner members = new(value.Span);
        if (!members.MoveNext()) return depth == 0 ? "\"\""u8.ToArray() : null;
        RawJson only = value.At(members.Value);
        return tool.Kind == ToolKind.PlainCustom && !members.MoveNext() ? Find(only, tool, depth + 1) : null;
    }

    /// <summary>A text, or the text inside one that is JSON once more, where the tool wants no JSON.</summary>
    private static byte[] FindInText(RawJson text, in ToolTarget tool, int depth)
    {
        if (tool.Kind != ToolKind.PlainCustom) return text.Span.ToArray();
        using PooledBytes plain = new(text.Span.Length);
        JsonText.Unescape(text.Inside, plain);
        ReadOnlySpan<byte> inner = plain.Span.Trim(" \t\r\n"u8);
        bool isJson = !inner.IsEmpty && inner[0] is (byte)'{' or (byte)'[' && RawJson.IsWhole(inner);
        return (isJson ? Find(new RawJson(inner.ToArray()), tool, depth + 1) : null) ?? text.Span.ToArray();
    }
}
