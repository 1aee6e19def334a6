using System.Text;
using System.Text.Json;

namespace QwenProxy.Simulator.Requests;

/// <summary>What the simulator wants to know of one message of the history.</summary>
internal sealed record CallMessage(string Role, string Text, int Images, int ToolCalls, bool ContentIsArray, IReadOnlyList<string> Arguments)
{
    public static CallMessage Read(JsonElement message)
    {
        StringBuilder text = new();
        int images = 0;
        bool isArray = false;
        if (message.ValueKind == JsonValueKind.Object && message.TryGetProperty("content", out JsonElement content))
        {
            isArray = content.ValueKind == JsonValueKind.Array;
            if (content.ValueKind == JsonValueKind.String) text.Append(content.GetString());
            else if (isArray)
            {
                foreach (JsonElement part in content.EnumerateArray()) ReadPart(part, text, ref images);
            }
        }

        List<string> arguments = ReadArguments(message);
        return new CallMessage(RoleOf(message, isArray), text.ToString(), images, arguments.Count, isArray, arguments);
    }

    /// <summary>In chat's words: in Messages a result stands in the user's message, in Responses calls and results are items without a role.</summary>
    private static string RoleOf(JsonElement message, bool hasParts)
    {
        string type = TextOf(message, "type") ?? "";
        if (type.EndsWith("_call_output", StringComparison.Ordinal)) return "tool";
        if (type.EndsWith("_call", StringComparison.Ordinal)) return "assistant";
        bool isResult = hasParts && message.GetProperty("content").EnumerateArray().Any(p => TextOf(p, "type") == "tool_result");
        return isResult ? "tool" : TextOf(message, "role") ?? "";
    }

    private static void ReadPart(JsonElement part, StringBuilder text, ref int images)
    {
        if (TextOf(part, "text") is { } words) text.Append(text.Length > 0 ? "\n" : "").Append(words);
        else if (TextOf(part, "type") is "image_url" or "image" or "input_image") images++;
    }

    private static List<string> ReadArguments(JsonElement message)
    {
        List<string> arguments = [];
        if (message.ValueKind != JsonValueKind.Object) return arguments;
        if (TextOf(message, "type") is "function_call" or "custom_tool_call") arguments.Add(TextOf(message, "arguments") ?? "");
        if (message.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.Array)
        {
            arguments.AddRange(content.EnumerateArray().Where(p => TextOf(p, "type") == "tool_use").Select(p => p.TryGetProperty("input", out JsonElement input) ? input.GetRawText() : ""));
        }

        if (!message.TryGetProperty("tool_calls", out JsonElement calls) || calls.ValueKind != JsonValueKind.Array) return arguments;
        foreach (JsonElement call in calls.EnumerateArray())
        {
            bool isFunction = call.ValueKind == JsonValueKind.Object && call.TryGetProperty("function", out JsonElement function);
            arguments.Add(isFunction ? TextOf(call.GetProperty("function"), "arguments") ?? "" : "");
        }

        return arguments;
    }

    private static string? TextOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() : null;
}
