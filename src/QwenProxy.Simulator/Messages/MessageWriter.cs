using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Messages;

/// <summary>A whole answer in Anthropic's shape.</summary>
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
            json.Raw("{\"type\":\"thinking\",\"thinking\":"u8).Text(answer.Reasoning);
            json.Raw(",\"signature\":"u8).Text(MessageStream.Signature(head)).Raw("}"u8);
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

        json.Raw("],\"stop_reason\":"u8).Text(StopReason(answer.Finish)).Raw(",\"stop_sequence\":null,\"usage\":{\"input_tokens\":"u8).Number(tokens.Prompt);
        return json.Raw(",\"output_tokens\":"u8).Number(tokens.Completion).Raw("}}"u8).ToArray();
    }

    public static string StopReason(string finish) => finish switch
    {
        "tool_calls" => "tool_use",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        _ => "end_turn",
    };
}
