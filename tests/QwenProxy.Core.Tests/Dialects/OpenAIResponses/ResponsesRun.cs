using System.Globalization;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Testing;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

/// <summary>One request and its answer in memory, with ids 1, 2, 3, … and a clock that stands still.</summary>
internal sealed class ResponsesRun
{
    private static int _responses;
    private int _ids;

    private ResponsesRun(ResponsesRequest request) => Request = request;

    public ResponsesRequest Request { get; }

    public ResponsesStore? Store { get; init; }

    public string Client { get; init; } = "";

    public string IdPrefix { get; init; } = "";

    public static ResponsesRun Of(string body, ResponsesStore? store = null, string client = "")
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        bool translated = ResponsesRequestParser.TryTranslate(bytes, store?.Of(client), out ResponsesRequest? request, out ProxyError? fault);
        Assert.True(translated, fault?.Message);
        string prefix = store is null ? "" : $"r{Interlocked.Increment(ref _responses)}x";
        return new ResponsesRun(request!) { Store = store, Client = client, IdPrefix = prefix };
    }

    public static ProxyError Refused(string body, ResponsesStore? store = null)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        Assert.False(ResponsesRequestParser.TryTranslate(bytes, store?.Of(""), out ResponsesRequest? request, out ProxyError? fault));
        Assert.Null(request);
        return fault;
    }

    public string Chat => Encoding.UTF8.GetString(Request.ChatBody);

    public JsonElement Messages => ChatJson.GetProperty("messages");

    public JsonElement ChatJson => JsonDocument.Parse(Request.ChatBody).RootElement;

    public string Stream(string upstream, int readBytes = int.MaxValue, Action<ChatEvent>? edit = null)
    {
        using PooledBytes output = new();
        using ResponsesStreamAnswer answer = new(output, Options());
        Pump(upstream, readBytes, answer, edit);
        answer.Finish();
        return Encoding.UTF8.GetString(output.Span);
    }

    public string Failed(string upstream, ProxyError error)
    {
        using PooledBytes output = new();
        using ResponsesStreamAnswer answer = new(output, Options());
        Pump(upstream, int.MaxValue, answer, null);
        answer.WriteError(error);
        answer.Finish();
        answer.WriteError(error);
        return Encoding.UTF8.GetString(output.Span);
    }

    public string Whole(string upstream, Action<ChatEvent>? edit = null)
    {
        using PooledBytes output = new();
        using ResponsesWholeAnswer answer = new(output, Options());
        Pump(upstream, int.MaxValue, answer, edit);
        answer.Finish();
        return Encoding.UTF8.GetString(output.Span);
    }

    /// <summary>The events of a stream, checked for what every stream must be: lines in pairs, names that match, numbers without gaps.</summary>
    public static List<JsonElement> ReadEvents(string stream)
    {
        List<JsonElement> events = [];
        Assert.EndsWith("\n\n", stream);
        foreach (string frame in stream[..^2].Split("\n\n"))
        {
            string[] lines = frame.Split('\n');
            Assert.Equal(2, lines.Length);
            JsonElement json = JsonDocument.Parse(lines[1]["data: ".Length..]).RootElement;
            Assert.Equal($"event: {Type(json)}", lines[0]);
            Assert.Equal(events.Count, json.GetProperty("sequence_number").GetInt32());
            events.Add(json);
        }

        return events;
    }

    /// <summary>The response object of a stream's last event.</summary>
    public static JsonElement Ending(string stream) => ReadEvents(stream)[^1].GetProperty("response");

    /// <summary>What the deltas of a stream say.</summary>
    public static string[] Deltas(string stream) =>
        [.. ReadEvents(stream).Where(e => Type(e).EndsWith(".delta", StringComparison.Ordinal)).Select(e => e.GetProperty("delta").GetString()!)];

    public static string Type(JsonElement json) => json.GetProperty("type").GetString()!;

    public static string[] Types(string stream) => [.. ReadEvents(stream).Select(e => Type(e).Replace("response.", "", StringComparison.Ordinal))];

    public static string Chunk(string delta, string? finish = null) =>
        "data: {\"id\":\"chatcmpl-1\",\"model\":\"qwen3.7-plus\",\"choices\":[{\"index\":0,\"delta\":" + delta
        + ",\"finish_reason\":" + (finish is null ? "null" : $"\"{finish}\"") + "}]}\n\n";

    public static string Text(string text) => Chunk($"{{\"content\":{JsonSerializer.Serialize(text)}}}");

    /// <summary>A chunk with one piece of a tool call, given as chat has it.</summary>
    public static string Call(string piece) => Chunk("{\"tool_calls\":[" + piece + "]}");

    public static string Finish(string reason = "stop") => Chunk("{}", reason);

    private ResponsesAnswerOptions Options() => new()
    {
        Request = Request,
        NewId = () => IdPrefix + (++_ids).ToString(CultureInfo.InvariantCulture),
        Clock = new FakeClock(),
        Store = Store,
        Client = Client,
    };

    private static void Pump(string upstream, int readBytes, DownstreamAnswer answer, Action<ChatEvent>? edit)
    {
        using SseFrameReader reader = new(1 << 20);
        using ChatEvent chatEvent = new();
        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(upstream);
        while (true)
        {
            SseFrame frame;
            while (reader.TryRead(out frame)) Push(frame);
            if (rest.IsEmpty) break;
            int count = Math.Min(rest.Length, Math.Min(readBytes, 4096));
            Memory<byte> room = reader.GetMemory();
            count = Math.Min(count, room.Length);
            rest[..count].CopyTo(room.Span);
            reader.Advance(count);
            rest = rest[count..];
        }

        if (reader.TryReadLast(out SseFrame last)) Push(last);

        void Push(in SseFrame frame)
        {
            ChatEventDecoder.Decode(frame, chatEvent);
            edit?.Invoke(chatEvent);
            answer.Push(chatEvent);
        }
    }
}
