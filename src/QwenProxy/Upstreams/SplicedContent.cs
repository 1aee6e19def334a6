using System.Net;
using System.Net.Http.Headers;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>A request body sent as pieces of the client's own bytes with the edits between them: nothing is copied into a second buffer.</summary>
internal sealed class SplicedContent : HttpContent
{
    private readonly ReadOnlyMemory<byte> _body;
    private readonly JsonSplice? _splice;

    public SplicedContent(ReadOnlyMemory<byte> body, JsonSplice? splice, string? contentType)
    {
        _body = body;
        _splice = splice;
        if (contentType is not null) Headers.TryAddWithoutValidation("Content-Type", contentType);
        else Headers.ContentType = new MediaTypeHeaderValue("application/json");
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        if (_splice is null || _splice.Count == 0)
        {
            await stream.WriteAsync(_body, cancellationToken);
            return;
        }

        foreach (ReadOnlyMemory<byte> piece in _splice.Pieces(_body)) await stream.WriteAsync(piece, cancellationToken);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = _body.Length + (_splice?.Growth ?? 0);
        return true;
    }
}
