using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Chat;

/// <summary>Chunks as DashScope's bytes: its key order, its explicit nulls.</summary>
internal static class ChunkWriter
{
    public static List<EventData> Write(IReadOnlyList<Chunk> chunks, StreamHead head, TokenCount tokens, bool done)
    {
        List<EventData> events = new(chunks.Count + 1);
        foreach (Chunk chunk in chunks) events.Add(new EventData(null, One(chunk, head, tokens)));
        if (done) events.Add(new EventData(null, "[DONE]"u8.ToArray()));
        return events;
    }

    public static byte[] One(Chunk chunk, StreamHead head, TokenCount tokens)
    {
        if (chunk.Raw is { } raw) return Encoding.UTF8.GetBytes(raw);
        using JsonBuilder json = new();
        json.Raw("{\"choices\":["u8);
        if (chunk.Place != ChunkPlace.Usage) Choice(json, chunk);
        json.Raw("],\"object\":\"chat.completion.chunk\",\"usage\":"u8);
        if (chunk.Place == ChunkPlace.Usage) Usage(json, tokens);
        else json.Raw(chunk.UsageJson ?? "null");
        json.Raw(",\"created\":"u8).Number(head.Created).Raw(",\"system_fingerprint\":null,\"model\":"u8).Text(head.Model);
        return json.Raw(",\"id\":"u8).Text(head.Id).Raw("}"u8).ToArray();
    }

    public static void Usage(JsonBuilder json, TokenCount tokens)
    {
        json.Raw("{\"prompt_tokens\":"u8).Number(tokens.Prompt).Raw(",\"completion_tokens\":"u8).Number(tokens.Completion);
        json.Raw(",\"total_tokens\":"u8).Number(tokens.Total).Raw(",\"prompt_tokens_details\":{\"cached_tokens\":0,\"text_tokens\":"u8);
        json.Number(tokens.Prompt).Raw("},\"completion_tokens_details\":{"u8);
        if (tokens.Reasoning > 0) json.Raw("\"reasoning_tokens\":"u8).Number(tokens.Reasoning).Raw(","u8);
        json.Raw("\"text_tokens\":"u8).Number(tokens.Text).Raw("}}"u8);
    }

    private static void Choice(JsonBuilder json, Chunk chunk)
    {
        switch (chunk.Place)
        {
            case ChunkPlace.First:
                json.Raw("{\"finish_reason\":"u8).Text(chunk.Finish).Raw(",\"logprobs\":null,\"delta\":"u8);
                Delta(json, chunk);
                json.Raw(",\"index\":0}"u8);
                break;
            case ChunkPlace.Last:
                json.Raw("{\"finish_reason\":"u8).Text(chunk.Finish).Raw(",\"delta\":"u8);
                Delta(json, chunk);
                json.Raw(",\"index\":0,\"logprobs\":null}"u8);
                break;
            default:
                json.Raw("{\"delta\":"u8);
                Delta(json, chunk);
                json.Raw(",\"finish_reason\":"u8).Text(chunk.Finish).Raw(",\"index\":0,\"logprobs\":null}"u8);
                break;
        }
    }

    private static void Delta(JsonBuilder json, Chunk chunk)
    {
        MemberWriter members = new(json);
        if (chunk.Content is not null || chunk.ContentIsNull) members.Name("content").Text(chunk.Content);
        if (chunk.Role is not null) members.Name("role").Text(chunk.Role);
        if (chunk.Reasoning is not null || chunk.ReasoningIsNull)
        {
            members.Name(chunk.ReasoningField).Text(chunk.Reasoning);
            if (chunk.ReasoningTwice) members.Name("reasoning").Text(chunk.Reasoning);
        }

        if (chunk.Tools.Count > 0)
        {
            members.Name("tool_calls").Raw("["u8);
            for (int i = 0; i < chunk.Tools.Count; i++)
            {
                if (i > 0) json.Raw(","u8);
                Tool(json, chunk.Tools[i]);
            }

            json.Raw("]"u8);
        }

        members.End();
    }

    private static void Tool(JsonBuilder json, ToolDelta tool)
    {
        MemberWriter members = new(json);
        if (tool.Index is { } index) members.Name("index").Number(index);
        if (tool.Id is not null) members.Name("id").Text(tool.Id);
        if (tool.Type is not null) members.Name("type").Text(tool.Type);
        members.Name("function");
        MemberWriter function = new(json);
        if (tool.Name is not null || tool.NameIsNull) function.Name("name").Text(tool.Name);
        if (tool.Arguments is not null) function.Name("arguments").Text(tool.Arguments);
        function.End();
        members.End();
    }

    /// <summary>Writes an object whose members may each be absent.</summary>
    private struct MemberWriter
    {
        private readonly JsonBuilder _json;
        private bool _any;

        public MemberWriter(JsonBuilder json)
        {
            _json = json;
            json.Raw("{"u8);
        }

        public JsonBuilder Name(string name)
        {
            if (_any) _json.Raw(","u8);
            _any = true;
            return _json.Text(name).Raw(":"u8);
        }

        public readonly void End() => _json.Raw("}"u8);
    }
}
