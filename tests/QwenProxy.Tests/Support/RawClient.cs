using System.Net;
using System.Net.Sockets;
using System.Text;

namespace QwenProxy.Tests.Support;

/// <summary>A client on a plain socket: it writes the bytes a test gives it and sees how the connection ends, which a client library hides.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    public static async Task<RawClient> ConnectAsync(Uri address, int? receiveBufferBytes = null)
    {
        RawClient client = new();
        // Must be set before connecting, or the window is already as large as the kernel likes.
        if (receiveBufferBytes is { } bytes) client._socket.ReceiveBufferSize = bytes;
        await client._socket.ConnectAsync(IPAddress.Loopback, address.Port);
        return client;
    }

    /// <summary>The bytes of a POST with a JSON body.</summary>
    public static string Post(string body, string path = "/v1/chat/completions", string extraHeaders = "") =>
        $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{extraHeaders}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";

    public async Task SendAsync(string text) => await SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await _socket.SendAsync(bytes)..];
    }

    /// <summary>One read; 0 when the other side has closed.</summary>
    public async Task<int> ReadAsync(Memory<byte> buffer) => await _socket.ReceiveAsync(buffer);

    /// <summary>Reads until the text so far contains <paramref name="mark"/>.</summary>
    public async Task<string> ReadUntilAsync(string mark)
    {
        StringBuilder seen = new();
        byte[] buffer = new byte[16 * 1024];
        while (!seen.ToString().Contains(mark, StringComparison.Ordinal))
        {
            int read = await _socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(30));
            if (read == 0) throw new EndOfStreamException($"The connection was closed after: {seen}");
            seen.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }

        return seen.ToString();
    }

    /// <summary>Everything up to the end of the connection, and how it ended.</summary>
    public async Task<RawResponse> ReadToEndAsync()
    {
        using MemoryStream seen = new();
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = await _socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(60))) > 0) seen.Write(buffer, 0, read);
            return RawResponse.Parse(seen.ToArray(), fin: true);
        }
        catch (SocketException)
        {
            return RawResponse.Parse(seen.ToArray(), fin: false);
        }
    }

    /// <summary>Nothing more is sent; what comes is still read.</summary>
    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Hangs up with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();
}

/// <summary>One response as its bytes were.</summary>
/// <param name="Head">Status line and headers.</param>
/// <param name="Body">Without chunk framing, when it had one.</param>
/// <param name="IsWhole">The end of the body was there: the last chunk, or all of Content-Length.</param>
/// <param name="Fin">The connection ended in order, not by a reset.</param>
internal sealed record RawResponse(string Head, string Body, bool IsWhole, bool Fin)
{
    /// <summary>Null when there is no such header.</summary>
    public string? Header(string name) =>
        Head.Split("\r\n").FirstOrDefault(l => l.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase)) is { } line ? line[(name.Length + 1)..].Trim() : null;

    public static RawResponse Parse(ReadOnlySpan<byte> bytes, bool fin)
    {
        int end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0) return new RawResponse(Encoding.Latin1.GetString(bytes), "", false, fin);
        string head = Encoding.Latin1.GetString(bytes[..end]);
        ReadOnlySpan<byte> rest = bytes[(end + 4)..];
        if (!head.Contains("chunked", StringComparison.OrdinalIgnoreCase)) return new RawResponse(head, Encoding.UTF8.GetString(rest), true, fin);
        using MemoryStream body = new();
        bool whole = false;
        while (rest.IndexOf("\r\n"u8) is >= 0 and int line)
        {
            int size = int.Parse(Encoding.ASCII.GetString(rest[..line]), System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
            rest = rest[(line + 2)..];
            if (size == 0)
            {
                whole = true;
                break;
            }

            int here = Math.Min(size, rest.Length);
            body.Write(rest[..here]);
            if (here < size || rest.Length < size + 2) break;
            rest = rest[(size + 2)..];
        }

        return new RawResponse(head, Encoding.UTF8.GetString(body.ToArray()), whole, fin);
    }
}
