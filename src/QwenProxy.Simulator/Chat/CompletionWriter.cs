using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Chat;

/// <summary>An answer as one JSON body: what a request without <c>stream</c> gets.</summary>
internal static class CompletionWriter
{
    public static byte[] Chat(SimulatedAnswer answer, StreamHead head, TokenCount tokens)
    {
        using JsonBuilder json = new();
        json.Raw("{\"choices\":[{\"message\":{\"content\":"u8).Text(answer.Text);
        if (answer.Reasoning.Length > 0) json.Raw(",\"reasoning_content\":"u8).Text(answer.Reasoning);
        json.Raw(",\"role\":\"assistant\""u8);
        if (answer.ToolCalls.Count > 0) ToolCalls(json, answer.ToolCalls);
        json.Raw("},\"finish_reason\":"u8).Text(answer.Finish).Raw(",\"index\":0,\"logprobs\":null}],\"object\":\"chat.completion\",\"usage\":"u8);
        ChunkWriter.Usage(json, tokens);
        return Tail(json, head);
    }

    /// <summary>The old completions API.</summary>
    public static byte[] Legacy(SimulatedAnswer answer, StreamHead head, TokenCount tokens)
    {
        using JsonBuilder json = new();
        json.Raw("{\"choices\":[{\"text\":"u8).Text(answer.Text).Raw(",\"finish_reason\":"u8).Text(answer.Finish);
        json.Raw(",\"index\":0,\"logprobs\":null}],\"object\":\"text_completion\",\"usage\":"u8);
        ChunkWriter.Usage(json, tokens);
        return Tail(json, head);
    }

    public static List<EventData> LegacyStream(SimulatedAnswer answer, StreamHead head, TokenCount tokens, bool includeUsage)
    {
        List<EventData> events = [];
        foreach (string piece in TextCutter.Cut(answer.Text)) events.Add(LegacyChunk(piece, null, head));
        events.Add(LegacyChunk("", answer.Finish, head));
        if (includeUsage)
        {
            using JsonBuilder json = new();
            json.Raw("{\"choices\":[],\"object\":\"text_completion\",\"usage\":"u8);
            ChunkWriter.Usage(json, tokens);
            events.Add(new EventData(null, Tail(json, head)));
        }

        events.Add(new EventData(null, "[DONE]"u8.ToArray()));
        return events;
    }

    private static EventData LegacyChunk(string text, string? finish, StreamHead head)
    {
        using JsonBuilder json = new();
        json.Raw("{\"choices\":[{\"text\":"u8).Text(text).Raw(",\"finish_reason\":"u8).Text(finish);
        json.Raw(",\"index\":0,\"logprobs\":null}],\"object\":\"text_completion\",\"usage\":null"u8);
        return new EventData(null, Tail(json, head));
    }

    private static byte[] Tail(JsonBuilder json, StreamHead head) => json.Raw(",\"created\":"u8).Number(head.Created)
        .Raw(",\"system_fingerprint\":null,\"model\":"u8).Text(head.Model).Raw(",\"id\":"u8).Text(head.Id).Raw("}"u8).ToArray();

    private static void ToolCalls(JsonBuilder json, IReadOnlyList<SimulatedToolCall> calls)
    {
        json.Raw(",\"tool_calls\":["u8);
        for (int i = 0; i < calls.Count; i++)
        {
            if (i > 0) json.Raw(","u8);
            json.Raw("{\"index\":"u8).Number(i).Raw(",\"id\":"u8).Text(calls[i].Id).Raw(",\"type\":\"function\",\"function\":{\"name\":"u8);
            json.Text(calls[i].Name).Raw(",\"arguments\":"u8).Text(calls[i].Arguments).Raw("}}"u8);
        }

        json.Raw("]"u8);
    }
}
