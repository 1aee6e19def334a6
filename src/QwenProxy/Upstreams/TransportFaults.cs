using System.Net.Sockets;
using QwenProxy.Core.Errors;

namespace QwenProxy.Upstreams;

/// <summary>Names what the network did: no connection, a reset, silence.</summary>
internal static class TransportFaults
{
    /// <param name="waited">How long was waited when a deadline ended the attempt; null when none did.</param>
    public static ProxyError Explain(Exception failure, TimeSpan? waited, bool headersCame, TimeSpan connectTimeout)
    {
        if (waited is { } span) return OwnErrors.FirstTokenTimeout(span);
        switch (failure)
        {
            // SocketsHttpHandler reports its connect time-out as a cancellation nobody asked for.
            case OperationCanceledException: return OwnErrors.ConnectTimeout(connectTimeout);
            case HttpRequestException network when WhyNotConnected(network) is { } why: return OwnErrors.Unreachable(why, FaultKind.ConnectFailed);
            case InvalidDataException: return OwnErrors.ProtocolError("a packed body that cannot be unpacked");
            case HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.HttpProtocolError }:
                return OwnErrors.ProtocolError("a response that is not valid HTTP");
        }

        return headersCame ? OwnErrors.Cut(failure) : OwnErrors.Unreachable("it closed the connection without an answer", FaultKind.Reset);
    }

    /// <summary>Why there is no connection, as the end of "it could not be reached: …"; null when there was one.</summary>
    public static string? WhyNotConnected(HttpRequestException failure) => failure.HttpRequestError switch
    {
        HttpRequestError.NameResolutionError => "its name cannot be resolved",
        HttpRequestError.SecureConnectionError => $"the TLS handshake failed ({Innermost(failure).Message})",
        HttpRequestError.ConnectionError => Innermost(failure) is SocketException socket ? Words(socket) : Innermost(failure).Message,
        _ => null,
    };

    private static string Words(SocketException socket) => socket.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "it refuses connections",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => "there is no route to it",
        SocketError.ConnectionReset => "it reset the connection",
        _ => socket.Message,
    };

    private static Exception Innermost(Exception failure)
    {
        while (failure.InnerException is not null) failure = failure.InnerException;
        return failure;
    }
}
