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
        return new CallMessage(TextOf(message, "role") ?? "", text.ToString(), images, arguments.Count, isArray, arguments);
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
