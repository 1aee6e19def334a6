using System.Buffers;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Messages for an upstream that speaks Messages itself.</summary>
public static class NativeMessages
{
    /// <summary>
    /// The request for such an upstream, or null when it must be translated: a whole answer is a fold of a chat stream, and thinking that this
    /// proxy signed means nothing to anybody else.
    /// </summary>
    public static NativeRequest? Of(ReadOnlyMemory<byte> body, MessagesRequest request, bool removeBillingBlock)
    {
        if (!request.Stream || body.Span.IndexOf(ThinkingSignature.Mark) >= 0) return null;
        return new NativeRequest
        {
            Body = body,
            Model = request.Model,
            LeftOut = removeBillingBlock ? BillingBlock.Find(body.Span) : default,
            UrlAt = static (profile, baseUrl) => profile.MessagesUrl(baseUrl),
            CreateAnswer = static output => new NativeMessagesAnswer(output),
        };
    }
}

/// <summary>Watches a native Messages stream.</summary>
public sealed class NativeMessagesAnswer(IBufferWriter<byte> output) : NativeAnswer
{
    private bool _started;
    private bool _stopped;
    private long _input;
    private long _cached;
    private long _cacheWritten;
    private long _outputTokens;

    public override ReadOnlyMemory<byte> KeepAlive => SseBlockWriter.KeepAlive;

    /// <summary>An upstream may close after the stop reason without the last event; the client waits for it.</summary>
    public override void Finish()
    {
        if (!_stopped) output.Write("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8);
    }

    public override void WriteError(ProxyError error) => MessagesErrors.WriteEvent(error, output);

    protected override EventKind ReadEvent(ReadOnlySpan<byte> type, ReadOnlyMemory<byte> data)
    {
        if (type.SequenceEqual("ping"u8)) return EventKind.Silent;
        ReadOnlySpan<byte> json = data.Span;
        if (type.SequenceEqual("message_start"u8))
        {
            _started = true;
            NoteUsage(MemberOf(MemberOf(json, "message"u8), "usage"u8));
            return EventKind.Chunk;
        }

        if (!_started) return EventKind.Broken;
        if (type.SequenceEqual("message_delta"u8))
        {
            NoteUsage(MemberOf(json, "usage"u8));
            if (!MemberOf(MemberOf(json, "delta"u8), "stop_reason"u8).IsEmpty) IsFinished = true;
        }

        if (!type.SequenceEqual("message_stop"u8)) return EventKind.Chunk;
        _stopped = IsFinished = true;
        return EventKind.Done;
    }

    /// <summary>Anthropic's counts are running totals, with cached tokens beside the input; the last report of each counts.</summary>
    private void NoteUsage(ReadOnlySpan<byte> usage)
    {
        if (usage.IsEmpty) return;
        _input = NumberOf(usage, "input_tokens"u8) ?? _input;
        _cached = NumberOf(usage, "cache_read_input_tokens"u8) ?? _cached;
        _cacheWritten = NumberOf(usage, "cache_creation_input_tokens"u8) ?? _cacheWritten;
        _outputTokens = NumberOf(usage, "output_tokens"u8) ?? _outputTokens;
        Tokens = new TokenCounts(_input + _cached + _cacheWritten, _outputTokens, _cached, _cacheWritten);
    }
}
