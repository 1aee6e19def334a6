using System.Buffers;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Resume;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Resume;

/// <summary>One client's stream: what streams of several upstreams made of it, as bytes and as the record of what was sent.</summary>
internal sealed class Stream : IEventSink, IDisposable
{
    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly OpenAIChatEncoder _encoder;

    public Stream() => _encoder = new OpenAIChatEncoder(_bytes, usageAsked: true);

    public SentAnswer Sent { get; init; } = new();

    public UsageSum Usage { get; } = new();

    public string Bytes => Encoding.UTF8.GetString(_bytes.WrittenSpan);

    public void Push(ChatEvent chatEvent)
    {
        Sent.Push(chatEvent);
        _encoder.Push(chatEvent);
    }

    /// <summary>Feeds events straight to the client.</summary>
    public void Feed(params string[] chunks) => Feed(this, chunks);

    /// <summary>Feeds the events of a stream that continues this one; gives the verifier to look at.</summary>
    public ReplayVerifier Resume(ResumeWay way, params string[] chunks)
    {
        if (Sent.IdToken is { } id) _encoder.PinnedId = id;
        Usage.EndStream();
        ReplayVerifier verifier = new(Sent, way, Usage);
        RepairChain chain = new([verifier], this);
        Feed(chain, chunks);
        chain.Finish();
        return verifier;
    }

    /// <summary>The same, but the stream breaks after its last chunk, or (without <paramref name="verified"/>) is passed on unproved.</summary>
    public ReplayVerifier? Continue(ResumeWay way, bool verified, bool whole, params string[] chunks)
    {
        if (Sent.IdToken is { } id) _encoder.PinnedId = id;
        ReplayVerifier? verifier = verified ? new ReplayVerifier(Sent, way, Usage) : null;
        RepairChain chain = new(verifier is null ? [] : [verifier], this);
        Feed(chain, chunks);
        if (whole) chain.Finish();
        return verifier;
    }

    /// <summary>What a client reads from the bytes: role count, thinking, text and calls of choice 0, read without any of the code under test.</summary>
    public (int Roles, string Reasoning, string Content, string Calls, string Finish) Read()
    {
        int roles = 0;
        StringBuilder reasoning = new(), content = new(), finish = new();
        SortedDictionary<int, (string Id, string Name, string Arguments)> calls = [];
        foreach (JsonElement chunk in Chunks())
        {
            foreach (JsonElement choice in chunk.GetProperty("choices").EnumerateArray())
            {
                JsonElement delta = choice.GetProperty("delta");
                if (Text(delta, "role").Length > 0) roles++;
                reasoning.Append(Text(delta, "reasoning_content"));
                content.Append(Text(delta, "content"));
                finish.Append(Text(choice, "finish_reason"));
                if (!delta.TryGetProperty("tool_calls", out JsonElement list) || list.ValueKind != JsonValueKind.Array) continue;
                foreach (JsonElement call in list.EnumerateArray())
                {
                    int index = call.GetProperty("index").GetInt32();
                    (string id, string name, string arguments) = calls.GetValueOrDefault(index, ("", "", ""));
                    JsonElement function = call.GetProperty("function");
                    calls[index] = (id + Text(call, "id"), name + Text(function, "name"), arguments + Text(function, "arguments"));
                }
            }
        }

        string shown = string.Join(';', calls.Select(c => $"{c.Key}:{c.Value.Id}:{c.Value.Name}:{c.Value.Arguments}"));
        return (roles, reasoning.ToString(), content.ToString(), shown, finish.ToString());
    }

    public List<JsonElement> Chunks()
    {
        List<JsonElement> chunks = [];
        foreach (string line in Bytes.Split('\n'))
        {
            if (line.StartsWith("data: {", StringComparison.Ordinal)) chunks.Add(JsonDocument.Parse(line[6..]).RootElement.Clone());
        }

        return chunks;
    }

    public void Dispose()
    {
        _encoder.Dispose();
        Sent.Dispose();
    }

    public static string Chunk(string delta, string? finish = null, string? usage = null, string id = "c1") =>
        $$"""{"id":"{{id}}","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{{{delta}}},"finish_reason":{{(finish is null ? "null" : Quote(finish))}}}],"usage":{{usage ?? "null"}}}""";

    public static string Role() => Chunk("\"role\":\"assistant\",\"content\":\"\"");

    public static string Say(string text) => Chunk("\"content\":" + Quote(text));

    public static string Think(string text) => Chunk("\"content\":null,\"reasoning_content\":" + Quote(text));

    public static string Call(int index, string id, string name, string arguments) =>
        Chunk("\"tool_calls\":[{\"index\":" + index + ",\"id\":" + Quote(id) + ",\"type\":\"function\",\"function\":{\"name\":" + Quote(name) + ",\"arguments\":" + Quote(arguments) + "}}]");

    public static string Arguments(int index, string arguments) =>
        Chunk("\"tool_calls\":[{\"index\":" + index + ",\"function\":{\"arguments\":" + Quote(arguments) + "}}]");

    public static string End(string reason = "stop", string? usage = null) => Chunk("", reason, usage);

    public static string Quote(string text)
    {
        using PooledBytes bytes = new(64);
        JsonText.WriteString(Encoding.UTF8.GetBytes(text), bytes);
        return Encoding.UTF8.GetString(bytes.Span);
    }

    private static string Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private static void Feed(IEventSink sink, string[] chunks)
    {
        using ChatEvent chatEvent = new();
        foreach (string chunk in chunks)
        {
            byte[] raw = Encoding.UTF8.GetBytes($"data: {chunk}\n\n");
            ChatEventDecoder.Decode(new SseFrame { Raw = raw, Data = raw.AsMemory(6, raw.Length - 8), DataOffset = 6, HasData = true }, chatEvent);
            sink.Push(chatEvent);
        }
    }
}
