using System.Buffers;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>OpenAI chat, streamed.</summary>
/// <param name="output">Where the stream goes.</param>
/// <param name="usageAsked">The client wants the usage report.</param>
/// <param name="created">Seconds since 1970, for chunks made of another dialect's events.</param>
public sealed class ChatStreamAnswer(IBufferWriter<byte> output, bool usageAsked, long created = 0) : DownstreamAnswer
{
    private ForeignChunks? _foreign;
    private static readonly byte[] KeepAliveBytes = OpenAIChatEncoder.KeepAlive.ToArray();
    private readonly OpenAIChatEncoder _encoder = new(output, usageAsked);

    public override ReadOnlyMemory<byte> KeepAlive => KeepAliveBytes;

    public override bool IsStream => true;

    public override void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Dialect == WireDialect.OpenAIChat) _encoder.Push(chatEvent);
        else (_foreign ??= new ForeignChunks(created)).Push(chatEvent, _encoder);
    }

    public override void Finish() => _encoder.Finish();

    public override void WriteError(ProxyError error) => _encoder.WriteError(OpenAIErrors.Write(error));

    public override void Continue(byte[] idToken) => _encoder.PinnedId = idToken;

    public override void Dispose()
    {
        _foreign?.Dispose();
        _encoder.Dispose();
        base.Dispose();
    }
}

/// <summary>OpenAI chat, whole.</summary>
/// <param name="output">Where the answer goes.</param>
/// <param name="created">As of <see cref="ChatStreamAnswer"/>.</param>
public sealed class ChatWholeAnswer(IBufferWriter<byte> output, long created = 0) : DownstreamAnswer
{
    private ForeignChunks? _foreign;
    private readonly OpenAIChatFold _fold = new();

    public override ReadOnlyMemory<byte> KeepAlive => default;

    public override bool IsStream => false;

    public override void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Dialect == WireDialect.OpenAIChat) _fold.Push(chatEvent);
        else (_foreign ??= new ForeignChunks(created)).Push(chatEvent, _fold);
    }

    public override void Finish() => _fold.WriteTo(output);

    public override void WriteError(ProxyError error) => throw new InvalidOperationException("A whole answer has not begun when it fails.");

    public override void Dispose()
    {
        _foreign?.Dispose();
        _fold.Dispose();
        base.Dispose();
    }
}
