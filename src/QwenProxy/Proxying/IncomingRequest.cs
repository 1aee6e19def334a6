using System.Buffers;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;

namespace QwenProxy.Proxying;

/// <summary>A client's request after Parse: the middle form that every upstream is asked with, and how the client wants to be answered.</summary>
/// <param name="Chat">The request as an OpenAI chat request.</param>
/// <param name="Stream">The client wants a stream.</param>
/// <param name="CreateAnswer">Makes the answer's encoder over an output; called once per exchange.</param>
internal sealed record IncomingRequest(ChatRequest Chat, bool Stream, Func<IBufferWriter<byte>, DownstreamAnswer> CreateAnswer)
{
    /// <summary>The query string that goes upstream, with its question mark; a translated request has none.</summary>
    public string Query { get; init; } = "";

    /// <summary>The request as it came, for an upstream that speaks the client's dialect; null when it has to be translated.</summary>
    public NativeRequest? Native { get; init; }

    /// <summary>What a translated request wants of thinking; null leaves the request's own fields as they are.</summary>
    public ThinkingWish? Thinking { get; init; }

    /// <summary>What the translation left out or changed, for metrics and the debug log; type names, never text.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>One wire API that clients speak: how its requests are read and how its errors look.</summary>
internal abstract class ClientDialect
{
    /// <summary>The name used in logs and metrics.</summary>
    public abstract string Name { get; }

    /// <summary>The header in which this dialect's clients look for the request's id, beside <c>x-request-id</c>, which every answer has.</summary>
    public virtual string? RequestIdHeader => null;

    /// <summary>Reads the body that Accept left in the exchange. Null when the client made a mistake, told in <paramref name="fault"/>.</summary>
    public abstract IncomingRequest? Parse(Exchange exchange, out ProxyError? fault);

    /// <summary>
    /// A failure that this dialect's streaming clients act upon only as an event. Where nothing was said yet it is said in a stream of its own, which
    /// ends in order: an event behind which the connection breaks is lost on some of them.
    /// </summary>
    public virtual bool IsSaidInStream(ProxyError error) => false;

    /// <summary>The error as this dialect's JSON body.</summary>
    public abstract byte[] WriteError(ProxyError error);
}
