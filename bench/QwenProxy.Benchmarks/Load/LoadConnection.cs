using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;

namespace QwenProxy.Benchmarks.Load;

/// <summary>
/// One keep-alive connection over a bare socket: sends the same bytes again and again and looks for the answer's end and its events, no more, so that
/// the load costs little beside what is measured.
/// </summary>
/// <param name="port">Of the contestant.</param>
/// <param name="request">Head and body of the request.</param>
/// <param name="tally">Shared by the connections of a run.</param>
/// <param name="arrived">Told of each read's bytes in a body; null when nobody wants to know.</param>
internal sealed class LoadConnection(int port, byte[] request, Tally tally, Action<ReadOnlySpan<byte>>? arrived = null)
{
    private const int BufferBytes = 64 * 1024;
    private readonly byte[] _tail = new byte[4];
    private int _tailLength;

    /// <summary>Sends request after request until the token ends it; a request under way is then broken off.</summary>
    public async Task RunAsync(int requests, CancellationToken stop)
    {
        byte[] buffer = new byte[BufferBytes];
        try
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            using CancellationTokenRegistration ending = stop.Register(socket.Dispose);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), stop);
            for (int i = 0; i < requests && !stop.IsCancellationRequested; i++)
            {
                await socket.SendAsync(request);
                if (!await ReadAnswerAsync(socket, buffer))
                {
                    if (!stop.IsCancellationRequested) tally.Failure();
                    return;
                }

                tally.Request();
            }
        }
        catch (Exception broken) when (broken is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            if (!stop.IsCancellationRequested) tally.Failure();
        }
    }

    /// <summary>False when the answer is no 200 or the connection ended in it.</summary>
    private async Task<bool> ReadAnswerAsync(Socket socket, byte[] buffer)
    {
        int have = 0, bodyStart;
        while ((bodyStart = buffer.AsSpan(0, have).IndexOf("\r\n\r\n"u8)) < 0)
        {
            int read = await socket.ReceiveAsync(buffer.AsMemory(have));
            if (read == 0) return false;
            have += read;
        }

        bodyStart += 4;
        if (!buffer.AsSpan(0, bodyStart).StartsWith("HTTP/1.1 200"u8)) return false;
        long left = ContentLength(buffer.AsSpan(0, bodyStart));
        bool chunked = left < 0;
        _tailLength = 0;
        left -= have - bodyStart;
        bool ended = TakeBody(buffer.AsSpan(bodyStart, have - bodyStart));
        while (chunked ? !ended : left > 0)
        {
            int read = await socket.ReceiveAsync(buffer);
            if (read == 0) return false;
            left -= read;
            ended = TakeBody(buffer.AsSpan(0, read));
        }

        return true;
    }

    /// <summary>True when what came so far ends as a chunked body ends.</summary>
    private bool TakeBody(ReadOnlySpan<byte> bytes)
    {
        tally.Add(bytes.Count("data: {"u8));
        arrived?.Invoke(bytes);
        // The end may come in two pieces: the last four bytes of what came before are kept.
        Span<byte> joined = stackalloc byte[9];
        ReadOnlySpan<byte> last = bytes.Length > 5 ? bytes[^5..] : bytes;
        _tail.AsSpan(0, _tailLength).CopyTo(joined);
        last.CopyTo(joined[_tailLength..]);
        int length = _tailLength + last.Length;
        _tailLength = Math.Min(4, length);
        joined[(length - _tailLength)..length].CopyTo(_tail);
        return joined[..length].EndsWith("0\r\n\r\n"u8);
    }

    private static long ContentLength(ReadOnlySpan<byte> head)
    {
        ReadOnlySpan<byte> name = "ontent-"u8;
        for (int at = 0; ; at += name.Length)
        {
            int found = head[at..].IndexOf(name);
            if (found < 0) return -1;
            at += found;
            ReadOnlySpan<byte> rest = head[(at + name.Length)..];
            if (!rest.StartsWith("Length: "u8) && !rest.StartsWith("length: "u8)) continue;
            return Utf8Parser.TryParse(rest[8..], out long length, out _) ? length : -1;
        }
    }
}
