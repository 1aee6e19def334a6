using System.Buffers;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>OpenAI chat, streamed.</summary>
public sealed class ChatStreamAnswer(IBufferWriter<byte> output, bool usageAsked) : DownstreamAnswer
{
    private static readonly byte[] KeepAliveBytes = OpenAIChatEncoder.KeepAlive.ToArray();
    private readonly OpenAIChatEncoder _encoder = new(output, usageAsked);

    public override ReadOnlyMemory<byte> KeepAlive => KeepAliveBytes;

    public override bool IsStream => true;

    public override void Push(ChatEvent chatEvent) => _encoder.Push(chatEvent);

    public override void Finish() => _encoder.Finish();

    public override void WriteError(ProxyError error) => _encoder.WriteError(OpenAIErrors.Write(error));

    public override void PinId(byte[] idToken) => _encoder.PinnedId = idToken;

    public override void Dispose()
    {
        _encoder.Dispose();
        base.Dispose();
    }
}

/// <summary>OpenAI chat, whole.</summary>
public sealed class ChatWholeAnswer(IBufferWriter<byte> output) : DownstreamAnswer
{
    private readonly OpenAIChatFold _fold = new();

    public override ReadOnlyMemory<byte> KeepAlive => default;

    public override bool IsStream => false;

    public override void Push(ChatEvent chatEvent) => _fold.Push(chatEvent);

    public override void Finish() => _fold.WriteTo(output);

    public override void WriteError(ProxyError error) => throw new InvalidOperationException("A whole answer has not begun when it fails.");

    public override void Dispose()
    {
        _fold.Dispose();
        base.Dispose();
    }
}
