using System.Buffers;
using System.Text;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

/// <summary>Runs upstream bytes through an answer, in pieces of a given size.</summary>
internal static class MessagesStreams
{
    public static MessagesAnswerOptions Options(ThinkingDisplay display = ThinkingDisplay.Shown, params string[] stops)
    {
        int minted = 0;
        return new MessagesAnswerOptions { NewId = () => $"minted{++minted}", InputTokensEstimate = 12, Display = display, StopSequences = stops };
    }

    public static string Stream(string upstream, MessagesAnswerOptions? options = null, int pieceBytes = int.MaxValue, Action<ChatEvent>? edit = null)
    {
        ArrayBufferWriter<byte> output = new();
        using MessagesStreamAnswer answer = new(output, options ?? Options());
        Pump(upstream, answer, pieceBytes, edit);
        answer.Finish();
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    public static string Whole(string upstream, MessagesAnswerOptions? options = null, int pieceBytes = int.MaxValue, Action<ChatEvent>? edit = null)
    {
        ArrayBufferWriter<byte> output = new();
        using MessagesWholeAnswer answer = new(output, options ?? Options());
        Pump(upstream, answer, pieceBytes, edit);
        answer.Finish();
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    public static void Pump(string upstream, DownstreamAnswer answer, int pieceBytes = int.MaxValue, Action<ChatEvent>? edit = null)
    {
        ReadOnlySpan<byte> bytes = Encoding.UTF8.GetBytes(upstream);
        using SseFrameReader reader = new(1 << 20);
        using ChatEvent chatEvent = new();
        while (bytes.Length > 0)
        {
            Span<byte> room = reader.GetMemory().Span;
            int count = Math.Min(Math.Min(pieceBytes, room.Length), bytes.Length);
            bytes[..count].CopyTo(room);
            bytes = bytes[count..];
            reader.Advance(count);
            while (reader.TryRead(out SseFrame frame))
            {
                ChatEventDecoder.Decode(frame, chatEvent);
                edit?.Invoke(chatEvent);
                answer.Push(chatEvent);
            }
        }
    }

    /// <summary>One upstream chunk around a choice's members.</summary>
    public static string Chunk(string delta, string finish = "null") =>
        "data: {\"id\":\"chatcmpl-1\",\"model\":\"qwen\",\"choices\":[{\"index\":0,\"delta\":" + delta + ",\"finish_reason\":" + finish + "}]}\n\n";

    public static string Text(string text) => Chunk($"{{\"content\":\"{text}\"}}");

    public static string Call(int index, string id, string name, string escapedArguments)
    {
        string function = $"{{\"name\":\"{name}\",\"arguments\":\"{escapedArguments}\"}}";
        return Chunk($"{{\"tool_calls\":[{{\"index\":{index},\"id\":\"{id}\",\"type\":\"function\",\"function\":{function}}}]}}");
    }
}
