using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace QwenProxy.Simulator.Replies;

/// <summary>The two rude ways in which a server leaves.</summary>
internal static class ConnectionEnding
{
    private const int Http2InternalError = 2;

    /// <summary>A real RST on the wire, not a FIN that merely comes early: clients and proxies treat the two differently.</summary>
    public static void Reset(HttpContext http)
    {
        if (http.Features.Get<IHttpResetFeature>() is { } stream)
        {
            stream.Reset(Http2InternalError);
            return;
        }

        if (SocketOf(http) is { } socket)
        {
            socket.LingerState = new LingerOption(true, 0);
            socket.Close(0);
        }

        http.Abort();
    }

    /// <summary>Half-closes: all that was written arrives, then the end of the stream, without the last chunk of the body.</summary>
    public static void Finish(HttpContext http)
    {
        if (SocketOf(http) is { } socket) socket.Shutdown(SocketShutdown.Send);
        else http.Abort();
    }

    private static Socket? SocketOf(HttpContext http) => http.Features.Get<IConnectionSocketFeature>()?.Socket;
}
