using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.Tags;

/// <summary>Sends an upstream's SSE bytes through stages and keeps what an OpenAI chat client reads: the stream and its fold.</summary>
internal sealed class RepairRun : IEventSink
{
    private readonly PooledBytes _stream = new();
    private readonly PooledBytes _whole = new();
    private readonly OpenAIChatEncoder _encoder;
    private readonly OpenAIChatFold _fold = new();

    private RepairRun() => _encoder = new OpenAIChatEncoder(_stream, usageAsked: true);

    public string Stream => Encoding.UTF8.GetString(_stream.Span);

    public JsonElement Whole { get; private set; }

    public RepairContext Context { get; private init; } = null!;

    public JsonElement Message => Whole.GetProperty("choices")[0].GetProperty("message");

    public string Content => Field("content");

    public string Reasoning => Field("reasoning_content");

    public string FinishReason => Whole.GetProperty("choices")[0].GetProperty("finish_reason").GetString() ?? "";

    /// <summary>Calls as <c>name(arguments)</c>.</summary>
    public string[] Calls => Message.TryGetProperty("tool_calls", out JsonElement calls) ? [.. calls.EnumerateArray().Select(Show)] : [];

    /// <summary>Everything a client sees but ids, for comparing differently cut streams.</summary>
    public string Seen => $"{Content}|{Reasoning}|{string.Join('+', Calls)}|{FinishReason}";

    public static RepairContext NewContext(string tools = "", int limit = 4096, bool unify = false, bool whole = false, bool beginsThinking = false) => new()
    {
        Report = new RepairReport(),
        Tools = Encoding.UTF8.GetBytes(tools),
        HoldLimitBytes = limit,
        UnifyReasoning = unify,
        IsWhole = whole,
        BeginsThinking = beginsThinking,
    };

    public static RepairRun Of(
        string sse, RepairContext context, Func<RepairContext, RepairStage[]> stages, Action<RepairChain, int>? afterEvent = null)
    {
        RepairRun run = new() { Context = context };
        RepairChain chain = new(stages(context), run);
        using SseFrameReader reader = new(1 << 24);
        byte[] bytes = Encoding.UTF8.GetBytes(sse);
        using ChatEvent chatEvent = new();
        while (bytes.Length > 0)
        {
            Memory<byte> room = reader.GetMemory();
            int count = Math.Min(room.Length, bytes.Length);
            bytes.AsMemory(0, count).CopyTo(room);
            reader.Advance(count);
            bytes = bytes[count..];
            while (reader.TryRead(out SseFrame frame))
            {
                context.Report.EventNumber++;
                ChatEventDecoder.Decode(frame, chatEvent);
                chain.Push(chatEvent);
                afterEvent?.Invoke(chain, context.Report.EventNumber);
            }
        }

        chain.Finish();
        run._fold.WriteTo(run._whole);
        run.Whole = JsonDocument.Parse(run._whole.Memory).RootElement.Clone();
        return run;
    }

    public void Push(ChatEvent chatEvent)
    {
        _encoder.Push(chatEvent);
        _fold.Push(chatEvent);
    }

    private static string Show(JsonElement call) =>
        $"{call.GetProperty("function").GetProperty("name").GetString()}({call.GetProperty("function").GetProperty("arguments").GetString()})";

    private string Field(string name) => Message.TryGetProperty(name, out JsonElement text) && text.ValueKind == JsonValueKind.String
        ? text.GetString()! : "";
}

/// <summary>Writes upstream streams of our own making.</summary>
internal static class Sse
{
    private const string Tail =
        "\"object\":\"chat.completion.chunk\",\"usage\":null,\"created\":1790000000,\"model\":\"qwen-test\",\"id\":\"chatcmpl-1\"";

    public static string Delta(string delta, string? finish = null, int choice = 0) =>
        $"data: {{\"choices\":[{{\"delta\":{{{delta}}},\"finish_reason\":{(finish is null ? "null" : $"\"{finish}\"")}," +
        $"\"index\":{choice}}}],{Tail}}}\n\n";

    public static string Text(string text, string field = "content") => Delta($"\"{field}\":{Quote(text)}");

    public static string End(string finish = "stop") => Delta("", finish) + "data: [DONE]\n\n";

    /// <summary>A whole answer of one channel, cut into the given pieces.</summary>
    public static string Stream(IEnumerable<string> pieces, string field = "content", string finish = "stop") =>
        Delta("\"role\":\"assistant\"") + string.Concat(pieces.Select(p => Text(p, field))) + End(finish);

    public static string Tool(string call) => Delta($"\"tool_calls\":[{call}]");

    public static string Quote(string text)
    {
        using PooledBytes bytes = new();
        JsonText.WriteString(Encoding.UTF8.GetBytes(text), bytes);
        return Encoding.UTF8.GetString(bytes.Span);
    }

    /// <summary>The text in one piece, in two at every place, in single characters, and in threes: all the ways a tag can be split.</summary>
    public static IEnumerable<string[]> Cuts(string text)
    {
        yield return [text];
        for (int i = 1; i < text.Length; i++)
        {
            if (!char.IsLowSurrogate(text[i])) yield return [text[..i], text[i..]];
        }

        yield return Every(text, 1);
        yield return Every(text, 3);
        yield return Every(text, 7);
    }

    public static string[] Every(string text, int size)
    {
        List<string> pieces = [];
        for (int i = 0; i < text.Length;)
        {
            int end = Math.Min(text.Length, i + size);
            if (end < text.Length && char.IsLowSurrogate(text[end])) end++;
            pieces.Add(text[i..end]);
            i = end;
        }

        return [.. pieces];
    }
}
