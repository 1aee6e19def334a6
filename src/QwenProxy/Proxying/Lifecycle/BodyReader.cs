using System.IO.Compression;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>One bounded read of a request body. The limit counts the bytes on the wire and, for a compressed body, also what they unpack to.</summary>
internal static class BodyReader
{
    /// <summary>8 MiB, the most that HTTP allows (RFC 9659): a body of a few bytes must not ask for more memory than that.</summary>
    private const int ZstdWindowLog = 23;

    /// <summary>Returns null when all went well; the body is then in <paramref name="into"/>.</summary>
    public static async ValueTask<ProxyError?> ReadAsync(HttpRequest request, PooledBytes into, int limitBytes, CancellationToken cancellationToken)
    {
        if (request.ContentLength > limitBytes) return OwnErrors.RequestTooLarge(limitBytes);
        Stream source = request.Body;
        string encoding = request.Headers.ContentEncoding.ToString();
        try
        {
            using Stream? unpacked = Unpack(source, encoding, out bool known);
            if (!known)
            {
                return OwnErrors.InvalidRequest($"The request body has the content encoding \"{encoding}\", which this proxy does not read. Send it plain or as gzip, deflate, br or zstd.") with { Status = 415 };
            }

            int expected = unpacked is null ? (int)Math.Min(request.ContentLength ?? 0, limitBytes) : 0;
            return await FillAsync(unpacked ?? source, into, expected, limitBytes, cancellationToken) ? null : OwnErrors.RequestTooLarge(limitBytes);
        }
        catch (BadHttpRequestException fault) when (fault.Message.StartsWith("Unexpected end of request content", StringComparison.Ordinal))
        {
            // The server reports a client that hung up inside its body as a bad request, before it reports the hang-up itself.
            return OwnErrors.ClientGone();
        }
        catch (BadHttpRequestException fault)
        {
            return fault.StatusCode == StatusCodes.Status413PayloadTooLarge ? OwnErrors.RequestTooLarge(limitBytes) : OwnErrors.InvalidRequest(fault.Message) with { Status = fault.StatusCode };
        }
        catch (Exception damaged) when (damaged is InvalidDataException or ZstdException or EndOfStreamException)
        {
            return OwnErrors.InvalidRequest($"The request body says it is {encoding}, but it cannot be unpacked.");
        }
    }

    /// <param name="expected">The length that was announced; 0 for none. The buffer is held as long as the request lasts, so it is no larger than that.</param>
    private static async ValueTask<bool> FillAsync(Stream source, PooledBytes into, int expected, int limitBytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            Memory<byte> room = into.GetMemory(into.Length <= expected && expected > 0 ? expected - into.Length + 1 : Math.Clamp(into.Length, 4096, 1024 * 1024));
            int read = await source.ReadAsync(room, cancellationToken);
            if (read == 0) return true;
            into.Advance(read);
            if (into.Length > limitBytes) return false;
        }
    }

    private static Stream? Unpack(Stream source, string encoding, out bool known)
    {
        known = true;
        switch (encoding.ToLowerInvariant())
        {
            case "" or "identity": return null;
            case "gzip" or "x-gzip": return new GZipStream(source, CompressionMode.Decompress, leaveOpen: true);
            case "deflate": return new ZLibStream(source, CompressionMode.Decompress, leaveOpen: true);
            case "br": return new BrotliStream(source, CompressionMode.Decompress, leaveOpen: true);
            case "zstd":
                DecompressionStream zstd = new(source, leaveOpen: true);
                zstd.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, ZstdWindowLog);
                return zstd;
            default:
                known = false;
                return null;
        }
    }
}
