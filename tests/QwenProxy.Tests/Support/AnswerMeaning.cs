using System.Text;
using System.Text.Json;

namespace QwenProxy.Tests.Support;

/// <summary>What an answer says, whichever dialect it is in and whether it came as a stream or whole: two answers that mean the same are equal.</summary>
/// <param name="Calls">Each call's name and arguments, in order.</param>
/// <param name="End">Why it ended, in chat's words; empty while it has not.</param>
/// <param name="Tokens">Input and output tokens.</param>
internal sealed record AnswerMeaning(string Text, string Reasoning, string Calls, string End, string Tokens)
{
    public static AnswerMeaning OfStream(string sse)
    {
        List<JsonElement> events = StreamText.Events(sse);
        JsonElement first = events.FirstOrDefault(e => e.ValueKind == JsonValueKind.Object);
        if (first.TryGetProperty("type", out JsonElement type)) return type.GetString()!.StartsWith("response.", StringComparison.Ordinal) ? OfResponses(events) : OfMessages(events);
        return OfChunks(events);
    }

    public static AnswerMeaning OfWhole(string dialect, string json)
    {
        JsonElement whole = JsonDocument.Parse(json).RootElement;
        return dialect switch
        {
            Dialect.Messages => OfMessage(whole),
            Dialect.Responses => OfResponse(whole),
            _ => OfCompletion(whole),
        };
    }

    private static AnswerMeaning OfChunks(List<JsonElement> events)
    {
        StringBuilder text = new(), reasoning = new();
        SortedDictionary<int, (string Name, StringBuilder Arguments)> calls = [];
        string end = "", tokens = "";
        foreach (JsonElement e in events)
        {
            if (e.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object) tokens = Counts(usage, "prompt_tokens", "completion_tokens");
            if (!e.TryGetProperty("choices", out JsonElement choices) || choices.GetArrayLength() == 0) continue;
            JsonElement choice = choices[0], delta = choice.GetProperty("delta");
            text.Append(Member(delta, "content"));
            string thought = Member(delta, "reasoning_content");
            reasoning.Append(thought.Length > 0 ? thought : Member(delta, "reasoning"));
            if (Member(choice, "finish_reason") is { Length: > 0 } reason) end = reason;
            if (!delta.TryGetProperty("tool_calls", out JsonElement list) || list.ValueKind != JsonValueKind.Array) continue;
            foreach (JsonElement call in list.EnumerateArray())
            {
                int index = call.GetProperty("index").GetInt32();
                if (!calls.ContainsKey(index)) calls[index] = ("", new StringBuilder());
                JsonElement function = call.GetProperty("function");
                if (Member(function, "name") is { Length: > 0 } name) calls[index] = (name, calls[index].Arguments);
                calls[index].Arguments.Append(Member(function, "arguments"));
            }
        }

        return new(text.ToString(), reasoning.ToString(), Joined(calls.Values.Select(c => (c.Name, c.Arguments.ToString()))), end, tokens);
    }

    private static AnswerMeaning OfMessages(List<JsonElement> events)
    {
        StringBuilder text = new(), reasoning = new();
        List<(string Name, StringBuilder Arguments)> calls = [];
        Dictionary<int, int> callOf = [];
        HashSet<int> open = [];
        string end = "", tokens = "";
        int next = 0;
        long input = 0;
        foreach (JsonElement e in events)
        {
            switch (e.GetProperty("type").GetString())
            {
                case "message_start":
                    Assert.Equal(0, next);
                    input = e.GetProperty("message").GetProperty("usage").GetProperty("input_tokens").GetInt64();
                    break;
                case "content_block_start":
                    int index = e.GetProperty("index").GetInt32();
                    // Blocks follow one another without a gap, and none begins while another is open.
                    Assert.Equal(next++, index);
                    Assert.Empty(open);
                    Assert.Equal("", end);
                    open.Add(index);
                    JsonElement block = e.GetProperty("content_block");
                    if (block.GetProperty("type").GetString() != "tool_use") break;
                    callOf[index] = calls.Count;
                    calls.Add((Member(block, "name"), new StringBuilder()));
                    break;
                case "content_block_delta":
                    Assert.Contains(e.GetProperty("index").GetInt32(), open);
                    JsonElement delta = e.GetProperty("delta");
                    text.Append(Member(delta, "text"));
                    reasoning.Append(Member(delta, "thinking"));
                    if (delta.TryGetProperty("partial_json", out JsonElement piece)) calls[callOf[e.GetProperty("index").GetInt32()]].Arguments.Append(piece.GetString());
                    break;
                case "content_block_stop":
                    Assert.True(open.Remove(e.GetProperty("index").GetInt32()));
                    break;
                case "message_delta":
                    Assert.Empty(open);
                    end = ChatEnd(Member(e.GetProperty("delta"), "stop_reason"));
                    JsonElement usage = e.GetProperty("usage");
                    if (usage.TryGetProperty("input_tokens", out JsonElement told)) input = told.GetInt64();
                    tokens = $"{input}+{usage.GetProperty("output_tokens").GetInt64()}";
                    break;
            }
        }

        return new(text.ToString(), reasoning.ToString(), Joined(calls.Select(c => (c.Name, c.Arguments.ToString()))), end, tokens);
    }

    private static AnswerMeaning OfResponses(List<JsonElement> events)
    {
        StringBuilder text = new(), reasoning = new();
        JsonElement last = default;
        Dictionary<int, string> items = [];
        int sequence = 0;
        foreach (JsonElement e in events)
        {
            string type = e.GetProperty("type").GetString()!;
            Assert.Equal(sequence++, e.GetProperty("sequence_number").GetInt32());
            if (type == "response.output_text.delta") text.Append(Member(e, "delta"));
            if (type == "response.reasoning_summary_text.delta") reasoning.Append(Member(e, "delta"));
            if (type == "response.output_item.added") Assert.Equal(items.Count, e.GetProperty("output_index").GetInt32());
            if (type == "response.output_item.added") items.Add(items.Count, e.GetProperty("item").GetProperty("id").GetString()!);
            if (e.TryGetProperty("item_id", out JsonElement id)) Assert.Equal(items[e.GetProperty("output_index").GetInt32()], id.GetString());
            if (type is "response.completed" or "response.incomplete") last = e.GetProperty("response");
        }

        if (last.ValueKind == JsonValueKind.Undefined) return new(text.ToString(), reasoning.ToString(), "", "", "");
        // What is told once more at the end is what the deltas told.
        AnswerMeaning end = OfResponse(last);
        Assert.Equal((text.ToString(), reasoning.ToString()), (end.Text, end.Reasoning));
        Assert.Equal(items.Values, last.GetProperty("output").EnumerateArray().Select(i => i.GetProperty("id").GetString()));
        return end;
    }

    private static AnswerMeaning OfResponse(JsonElement response)
    {
        JsonElement[] output = [.. response.GetProperty("output").EnumerateArray()];
        (string, string)[] calls = [.. output.Where(i => Member(i, "type") == "function_call").Select(i => (Member(i, "name"), Member(i, "arguments")))];
        string reason = response.GetProperty("incomplete_details") is { ValueKind: JsonValueKind.Object } details ? Member(details, "reason") : "";
        string end = reason switch { "max_output_tokens" => "length", "content_filter" => reason, _ => calls.Length > 0 ? "tool_calls" : "stop" };
        return new(
            Joined(output, "message", "content"), Joined(output, "reasoning", "summary"), Joined(calls), end,
            response.GetProperty("usage") is { ValueKind: JsonValueKind.Object } usage ? Counts(usage, "input_tokens", "output_tokens") : "");
    }

    private static AnswerMeaning OfMessage(JsonElement message)
    {
        JsonElement[] blocks = [.. message.GetProperty("content").EnumerateArray()];
        return new(
            string.Concat(blocks.Where(b => Member(b, "type") == "text").Select(b => Member(b, "text"))),
            string.Concat(blocks.Where(b => Member(b, "type") == "thinking").Select(b => Member(b, "thinking"))),
            Joined(blocks.Where(b => Member(b, "type") == "tool_use").Select(b => (Member(b, "name"), Input(b.GetProperty("input"))))),
            ChatEnd(Member(message, "stop_reason")),
            Counts(message.GetProperty("usage"), "input_tokens", "output_tokens"));
    }

    private static AnswerMeaning OfCompletion(JsonElement completion)
    {
        JsonElement choice = completion.GetProperty("choices")[0], message = choice.GetProperty("message");
        JsonElement[] calls = message.TryGetProperty("tool_calls", out JsonElement list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray()] : [];
        string thought = Member(message, "reasoning_content");
        return new(
            Member(message, "content"), thought.Length > 0 ? thought : Member(message, "reasoning"),
            Joined(calls.Select(c => (Member(c.GetProperty("function"), "name"), Member(c.GetProperty("function"), "arguments")))),
            Member(choice, "finish_reason"),
            completion.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object ? Counts(usage, "prompt_tokens", "completion_tokens") : "");
    }

    private static string Joined(JsonElement[] output, string type, string parts) =>
        string.Concat(output.Where(i => Member(i, "type") == type).SelectMany(i => i.GetProperty(parts).EnumerateArray()).Select(p => Member(p, "text")));

    /// <summary>Arguments are compared as JSON where they are: an absent object is an empty one.</summary>
    private static string Joined(IEnumerable<(string Name, string Arguments)> calls) => string.Join('\n', calls.Select(c => $"{c.Name}({Normal(c.Arguments)})"));

    /// <summary>Arguments that are no object stand under a name of their own there.</summary>
    private static string Input(JsonElement input) => Member(input, "INVALID_JSON") is { Length: > 0 } broken ? broken : input.GetRawText();

    private static string Normal(string arguments)
    {
        arguments = arguments.Trim();
        if (arguments.Length == 0) return "{}";
        try
        {
            using JsonDocument json = JsonDocument.Parse(arguments);
            return JsonSerializer.Serialize(json.RootElement);
        }
        catch (JsonException)
        {
            return arguments;
        }
    }

    private static string ChatEnd(string reason) => reason switch
    {
        "end_turn" or "stop_sequence" => "stop",
        "max_tokens" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => reason,
    };

    private static string Counts(JsonElement usage, string input, string output) => $"{usage.GetProperty(input).GetInt64()}+{usage.GetProperty(output).GetInt64()}";

    private static string Member(JsonElement json, string name) =>
        json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
