using System.Buffers;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// OpenAI Responses, streamed: events with <c>event:</c> and <c>data:</c> lines, numbered from 0, that end with one of <c>response.completed</c>,
/// <c>response.incomplete</c> and <c>response.failed</c>, and no <c>[DONE]</c>.
/// </summary>
public sealed class ResponsesStreamAnswer(IBufferWriter<byte> output, ResponsesAnswerOptions options) : DownstreamAnswer
{
    private static readonly byte[] KeepAliveBytes = ": keep-alive\n\n"u8.ToArray();
    private readonly ResponsesEncoder _encoder = new(output, options);

    public string ResponseId => _encoder.ResponseId;

    public override ReadOnlyMemory<byte> KeepAlive => KeepAliveBytes;

    public override bool IsStream => true;

    public override void Push(ChatEvent chatEvent) => _encoder.Push(chatEvent);

    /// <summary>Ends the stream. Chat tells its usage after its finish reason, so nothing before this call could.</summary>
    public override void Finish() => _encoder.Finish();

    /// <summary>
    /// Ends the stream with <c>response.failed</c> and nothing else: clients read it, and the plain <c>error</c> event of the same API beside it
    /// would be a second ending.
    /// </summary>
    public override void WriteError(ProxyError error) => _encoder.Fail(error);

    public override void Continue(byte[] idToken) => _encoder.Continue();

    public override void Dispose()
    {
        _encoder.Dispose();
        base.Dispose();
    }
}

/// <summary>OpenAI Responses, whole: the response object that the same events would have ended with.</summary>
public sealed class ResponsesWholeAnswer(IBufferWriter<byte> output, ResponsesAnswerOptions options) : DownstreamAnswer
{
    private readonly ResponsesEncoder _encoder = new(null, options);

    public string ResponseId => _encoder.ResponseId;

    public override ReadOnlyMemory<byte> KeepAlive => default;

    public override bool IsStream => false;

    public override void Push(ChatEvent chatEvent) => _encoder.Push(chatEvent);

    public override void Finish() => output.Write(_encoder.Finish());

    public override void WriteError(ProxyError error) => throw new InvalidOperationException("A whole answer has not begun when it fails.");

    public override void Continue(byte[] idToken) => _encoder.Continue();

    public override void Dispose()
    {
        _encoder.Dispose();
        base.Dispose();
    }
}
