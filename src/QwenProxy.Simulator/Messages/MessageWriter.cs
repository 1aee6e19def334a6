using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Messages;

/// <summary>An answer in Anthropic's shape, events in the order its API sends them.</summary>
internal static class MessageWriter
{
    public static byte[] Whole(SimulatedAnswer answer, StreamHead head, TokenCount tokens)
    {
        using JsonBuilder json = new();
        json.Raw("{\"id\":"u8).Text("msg_" + head.Uuid).Raw(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8).Text(head.Model);
        json.Raw(",\"content\":["u8);
        string between = "";
        if (answer.Reasoning.Length > 0)
        {
            json.Raw("{\"type\":\"thinking\",\"thinking\":"u8).Text(answer.Reasoning).Raw(",\"signature\":\"\"}"u8);
            between = ",";
        }

        if (answer.Text.Length > 0)
        {
            json.Raw(between).Raw("{\"type\":\"text\",\"text\":"u8).Text(answer.Text).Raw("}"u8);
            between = ",";
        }

        foreach (SimulatedToolCall call in answer.ToolCalls)
        {
            json.Raw(between).Raw("{\"type\":\"tool_use\",\"id\":"u8).Text(call.Id).Raw(",\"name\":"u8).Text(call.Name);
            json.Raw(",\"input\":"u8).Raw(call.Arguments).Raw("}"u8);
            between = ",";
        }

        json.Raw("],\"stop_reason\":"u8).Text(StopReason(answer)).Raw(",\"stop_sequence\":null,\"usage\":{\"input_tokens\":"u8).Number(tokens.Prompt);
        return json.Raw(",\"output_tokens\":"u8).Number(tokens.Completion).Raw("}}"u8).ToArray();
    }

    public static List<EventData> Events(SimulatedAnswer answer, StreamHead head, TokenCount tokens)
    {
        List<EventData> events = [Start(head, tokens)];
        int index = 0;
        if (answer.Reasoning.Length > 0)
            Block(events, index++, """{"type":"thinking","thinking":"","signature":""}""", "thinking_delta", "thinking", answer.Reasoning);
        if (answer.Text.Length > 0) Block(events, index++, """{"type":"text","text":""}""", "text_delta", "text", answer.Text);
        foreach (SimulatedToolCall call in answer.ToolCalls)
        {
            string block = $$"""{"type":"tool_use","id":{{JsonBuilder.Quote(call.Id)}},"name":{{JsonBuilder.Quote(call.Name)}},"input":""" + "{}}";
            Block(events, index++, block, "input_json_delta", "partial_json", call.Arguments);
        }

        string reason = JsonBuilder.Quote(StopReason(answer));
        Add(events, "message_delta", $$$"""
            ,"delta":{"stop_reason":{{{reason}}},"stop_sequence":null},"usage":{"output_tokens":{{{tokens.Completion}}}}
            """);
        Add(events, "message_stop", "");
        return events;
    }

    public static string StopReason(SimulatedAnswer answer) => answer.Finish switch
    {
        "tool_calls" => "tool_use",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        _ => "end_turn",
    };

    private static EventData Start(StreamHead head, TokenCount tokens)
    {
        using JsonBuilder json = new();
        json.Raw("{\"type\":\"message_start\",\"message\":{\"id\":"u8).Text("msg_" + head.Uuid)
            .Raw(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        json.Text(head.Model).Raw(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":"u8).Number(tokens.Prompt);
        return new EventData("message_start", json.Raw(",\"output_tokens\":1}}}"u8).ToArray());
    }

    private static void Block(List<EventData> events, int index, string block, string deltaType, string field, string text)
    {
        Add(events, "content_block_start", $",\"index\":{index},\"content_block\":{block}");
        if (index == 0) Add(events, "ping", "");
        foreach (string piece in TextCutter.Cut(text))
            Add(events, "content_block_delta", $$""","index":{{index}},"delta":{"type":"{{deltaType}}","{{field}}":{{JsonBuilder.Quote(piece)}}}""");
        Add(events, "content_block_stop", $",\"index\":{index}");
    }

    private static void Add(List<EventData> events, string name, string members)
    {
        using JsonBuilder json = new();
        events.Add(new EventData(name, json.Raw("{\"type\":"u8).Text(name).Raw(members).Raw("}"u8).ToArray()));
    }
}
