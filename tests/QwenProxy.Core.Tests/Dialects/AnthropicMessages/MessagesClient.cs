using System.Text;
using System.Text.Json.Nodes;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

/// <summary>Reads a Messages stream as a strict client does: it insists on the order of events, on rising indexes and on closed blocks.</summary>
internal static class MessagesClient
{
    public static List<(string Name, JsonObject Data)> Events(string stream)
    {
        Assert.EndsWith("\n\n", stream, StringComparison.Ordinal);
        List<(string, JsonObject)> events = [];
        foreach (string frame in stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            string[] lines = frame.Split('\n');
            Assert.Equal(2, lines.Length);
            Assert.StartsWith("event: ", lines[0], StringComparison.Ordinal);
            Assert.StartsWith("data: ", lines[1], StringComparison.Ordinal);
            JsonObject data = JsonNode.Parse(lines[1][6..])!.AsObject();
            Assert.Equal(lines[0][7..], (string?)data["type"]);
            events.Add((lines[0][7..], data));
        }

        return events;
    }

    /// <summary>The message that the stream builds up, as JSON.</summary>
    public static string Fold(string stream)
    {
        List<(string Name, JsonObject Data)> events = Events(stream);
        Assert.Equal("message_start", events[0].Name);
        Assert.Equal("message_stop", events[^1].Name);
        Assert.Equal("message_delta", events[^2].Name);
        JsonObject message = events[0].Data["message"]!.DeepClone().AsObject();
        JsonArray content = message["content"]!.AsArray();
        JsonObject? block = null;
        StringBuilder arguments = new();
        foreach ((string name, JsonObject data) in events[1..^2])
        {
            if (name == "ping") continue;
            if (name == "content_block_start")
            {
                Assert.Null(block);
                Assert.Equal(content.Count, (int)data["index"]!);
                block = data["content_block"]!.DeepClone().AsObject();
                content.Add(block);
                arguments.Clear();
                continue;
            }

            Assert.NotNull(block);
            Assert.Equal(content.Count - 1, (int)data["index"]!);
            if (name == "content_block_delta") AddDelta(block, data["delta"]!.AsObject(), arguments);
            else
            {
                Assert.Equal("content_block_stop", name);
                if (arguments.Length > 0) block["input"] = Input(arguments.ToString());
                block = null;
            }
        }

        Assert.Null(block);
        foreach ((string key, JsonNode? value) in events[^2].Data["delta"]!.AsObject()) message[key] = value?.DeepClone();
        message["usage"] = events[^2].Data["usage"]!.DeepClone();
        return message.ToJsonString();
    }

    private static void AddDelta(JsonObject block, JsonObject delta, StringBuilder arguments)
    {
        string type = (string)delta["type"]!;
        switch (type)
        {
            case "input_json_delta":
                Assert.Equal("tool_use", (string)block["type"]!);
                arguments.Append((string)delta["partial_json"]!);
                break;
            case "signature_delta":
                block["signature"] = (string)delta["signature"]!;
                break;
            default:
                string field = type == "text_delta" ? "text" : "thinking";
                Assert.Equal(field, (string)block["type"]!);
                block[field] = (string)block[field]! + (string)delta[field]!;
                break;
        }
    }

    private static JsonObject Input(string arguments)
    {
        try
        {
            if (JsonNode.Parse(arguments) is JsonObject input) return input;
        }
        catch (System.Text.Json.JsonException)
        {
            // Said as text below, like JSON that is no object.
        }

        return new JsonObject { ["INVALID_JSON"] = arguments };
    }
}
