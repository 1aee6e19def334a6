using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Responses;

/// <summary>A whole answer in the shape of the Responses API.</summary>
internal static class ResponseWriter
{
    public static byte[] Whole(SimulatedAnswer answer, StreamHead head, TokenCount tokens) =>
        System.Text.Encoding.UTF8.GetBytes(Response(head, StatusOf(answer.Finish), Items(answer, head), tokens, IncompleteReason(answer.Finish)));

    public static string StatusOf(string finish) => IncompleteReason(finish) is null ? "completed" : "incomplete";

    public static string? IncompleteReason(string finish) => finish switch
    {
        "length" => "max_output_tokens",
        "content_filter" => "content_filter",
        _ => null,
    };

    private static List<string> Items(SimulatedAnswer answer, StreamHead head)
    {
        List<string> items = [];
        if (answer.Reasoning.Length > 0) items.Add(ResponseItem.Reasoning(head, 0).Done(answer.Reasoning));
        if (answer.Text.Length > 0) items.Add(ResponseItem.Message(head, 0).Done(answer.Text));
        items.AddRange(answer.ToolCalls.Select(call => ResponseItem.Call(call.Id, call.Name).Done(call.Arguments)));
        return items;
    }

    public static string Response(StreamHead head, string status, IEnumerable<string> items, TokenCount? tokens, string? incomplete = null)
    {
        using JsonBuilder json = new();
        json.Raw("{\"id\":"u8).Text("resp_" + head.Uuid).Raw(",\"object\":\"response\",\"created_at\":"u8).Number(head.Created);
        json.Raw(",\"status\":"u8).Text(status).Raw(",\"error\":null,\"incomplete_details\":"u8)
            .Raw(incomplete is null ? "null" : $"{{\"reason\":\"{incomplete}\"}}").Raw(",\"model\":"u8).Text(head.Model);
        json.Raw(",\"output\":["u8).Raw(string.Join(',', items)).Raw("],\"parallel_tool_calls\":true,\"tools\":[],\"usage\":"u8);
        if (tokens is { } t)
        {
            json.Raw($$"""
                {"input_tokens":{{t.Prompt}},"input_tokens_details":{"cached_tokens":0},"output_tokens":{{t.Completion}},
                """);
            json.Raw($$$"""
                "output_tokens_details":{"reasoning_tokens":{{{t.Reasoning}}}},"total_tokens":{{{t.Total}}}}
                """);
        }
        else json.Raw("null"u8);
        return json.Raw("}"u8).ToString();
    }
}
