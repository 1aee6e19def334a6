using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Responses;

/// <summary>An answer in the shape of the Responses API: each item is added, filled by deltas and closed; the whole comes again at the end.</summary>
internal static class ResponseWriter
{
    public static byte[] Whole(SimulatedAnswer answer, StreamHead head, TokenCount tokens) =>
        System.Text.Encoding.UTF8.GetBytes(Response(head, "completed", [.. Items(answer, head).Select(i => i.Done)], tokens));

    public static List<EventData> Events(SimulatedAnswer answer, StreamHead head, TokenCount tokens)
    {
        List<EventData> events = [];
        Add(events, "response.created", $",\"response\":{Response(head, "in_progress", [], null)}");
        Add(events, "response.in_progress", $",\"response\":{Response(head, "in_progress", [], null)}");
        List<Item> items = Items(answer, head);
        for (int i = 0; i < items.Count; i++) AddItem(events, items[i], i);
        Add(events, "response.completed", $",\"response\":{Response(head, "completed", [.. items.Select(i => i.Done)], tokens)}");
        return events;
    }

    private static void AddItem(List<EventData> events, Item item, int index)
    {
        Add(events, "response.output_item.added", $",\"output_index\":{index},\"item\":{item.Added}");
        string place = $",\"item_id\":{JsonBuilder.Quote(item.Id)},\"output_index\":{index}";
        if (item.PartKind.Length > 0)
        {
            place += item.PartKind == "summary_text" ? ",\"summary_index\":0" : ",\"content_index\":0";
            Add(events, item.PartEvent + ".added", place + ",\"part\":" + Part(item.PartKind, ""));
        }

        foreach (string piece in TextCutter.Cut(item.Text)) Add(events, item.DeltaEvent + ".delta", $"{place},\"delta\":{JsonBuilder.Quote(piece)}");
        string field = item.PartKind.Length > 0 ? "text" : "arguments";
        Add(events, item.DeltaEvent + ".done", $"{place},\"{field}\":{JsonBuilder.Quote(item.Text)}");
        if (item.PartKind.Length > 0) Add(events, item.PartEvent + ".done", place + ",\"part\":" + Part(item.PartKind, item.Text));
        Add(events, "response.output_item.done", $",\"output_index\":{index},\"item\":{item.Done}");
    }

    private static List<Item> Items(SimulatedAnswer answer, StreamHead head)
    {
        List<Item> items = [];
        if (answer.Reasoning.Length > 0)
        {
            string id = "rs_" + head.Uuid, summary = Part("summary_text", answer.Reasoning);
            items.Add(new Item(id, $$"""{"id":"{{id}}","type":"reasoning","summary":[]}""",
                $$"""{"id":"{{id}}","type":"reasoning","summary":[{{summary}}]}""",
                answer.Reasoning, "summary_text", "response.reasoning_summary_part", "response.reasoning_summary_text"));
        }

        if (answer.Text.Length > 0)
        {
            string id = "msg_" + head.Uuid, start = $$"""{"id":"{{id}}","type":"message","role":"assistant","status":""";
            items.Add(new Item(id, start + "\"in_progress\",\"content\":[]}", start
                + $"\"completed\",\"content\":[{Part("output_text", answer.Text)}]}}",
                answer.Text, "output_text", "response.content_part", "response.output_text"));
        }

        foreach (SimulatedToolCall call in answer.ToolCalls)
        {
            string start = $$"""{"id":"fc_{{call.Id}}","type":"function_call","call_id":"{{call.Id}}","name":{{JsonBuilder.Quote(call.Name)}},""";
            items.Add(new Item("fc_" + call.Id, start + "\"status\":\"in_progress\",\"arguments\":\"\"}",
                start + $"\"status\":\"completed\",\"arguments\":{JsonBuilder.Quote(call.Arguments)}}}",
                call.Arguments, "", "", "response.function_call_arguments"));
        }

        return items;
    }

    private static string Part(string kind, string text) => kind == "output_text"
        ? $$"""{"type":"output_text","text":{{JsonBuilder.Quote(text)}},"annotations":[]}"""
        : $$"""{"type":"{{kind}}","text":{{JsonBuilder.Quote(text)}}}""";

    private static string Response(StreamHead head, string status, List<string> items, TokenCount? tokens)
    {
        using JsonBuilder json = new();
        json.Raw("{\"id\":"u8).Text("resp_" + head.Uuid).Raw(",\"object\":\"response\",\"created_at\":"u8).Number(head.Created);
        json.Raw(",\"status\":"u8).Text(status).Raw(",\"error\":null,\"incomplete_details\":null,\"model\":"u8).Text(head.Model);
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

    private static void Add(List<EventData> events, string name, string members)
    {
        using JsonBuilder json = new();
        json.Raw("{\"type\":"u8).Text(name).Raw(",\"sequence_number\":"u8).Number(events.Count).Raw(members).Raw("}"u8);
        events.Add(new EventData(name, json.ToArray()));
    }

    /// <summary>One output item: as it is when added and when done, the text its deltas carry, and the names of their events.</summary>
    private sealed record Item(string Id, string Added, string Done, string Text, string PartKind, string PartEvent, string DeltaEvent);
}
