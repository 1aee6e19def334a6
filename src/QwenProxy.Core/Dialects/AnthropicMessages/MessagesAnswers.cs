using System.Buffers;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Anthropic Messages, streamed: <c>message_start</c>, blocks with rising index, <c>message_delta</c>, <c>message_stop</c>.</summary>
public sealed class MessagesStreamAnswer(IBufferWriter<byte> output, MessagesAnswerOptions options) : DownstreamAnswer
{
    private readonly BlockSequence _blocks = new(new SseBlockWriter(output), options);

    public override ReadOnlyMemory<byte> KeepAlive => SseBlockWriter.KeepAlive;

    public override bool IsStream => true;

    public override void Push(ChatEvent chatEvent) => _blocks.Push(chatEvent);

    public override void Finish() => _blocks.Finish();

    public override void WriteError(ProxyError error) => MessagesErrors.WriteEvent(error, output);

    public override void Continue(byte[] idToken) => _blocks.Continue(idToken);

    public override void Dispose()
    {
        _blocks.Dispose();
        base.Dispose();
    }
}

/// <summary>Anthropic Messages, whole: the fold of the same blocks.</summary>
public sealed class MessagesWholeAnswer(IBufferWriter<byte> output, MessagesAnswerOptions options) : DownstreamAnswer
{
    private readonly BlockSequence _blocks = new(new WholeBlockWriter(output), options);

    public override ReadOnlyMemory<byte> KeepAlive => default;

    public override bool IsStream => false;

    public override void Push(ChatEvent chatEvent) => _blocks.Push(chatEvent);

    public override void Finish() => _blocks.Finish();

    public override void WriteError(ProxyError error) => throw new InvalidOperationException("A whole answer has not begun when it fails.");

    public override void Continue(byte[] idToken) => _blocks.Continue(idToken);

    public override void Dispose()
    {
        _blocks.Dispose();
        base.Dispose();
    }
}
