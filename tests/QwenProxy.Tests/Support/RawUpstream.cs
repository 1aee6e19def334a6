using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace QwenProxy.Tests.Support;

/// <summary>
/// An upstream that sends exactly the bytes a test gives it, on a plain socket, so that framing, cuts and resets are the test's and not a
/// server library's. Each connection serves one request.
/// </summary>
internal sealed class RawUpstream : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<RawExchange, Task> _serve;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Task _accepting;

    public RawUpstream(Func<RawExchange, Task> serve)
    {
        _serve = serve;
        _listener.Start(1024);
        _accepting = AcceptAsync();
    }

    public ConcurrentQueue<RawExchange> Requests { get; } = new();

    public Uri BaseUrl => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/v1");

    /// <summary>Serves every request with the same response bytes and an orderly close.</summary>
    public static RawUpstream Always(string response) => new(async exchange => await exchange.SendAsync(response));

    public static string Sse(string body, string extraHeaders = "") =>
        $"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{extraHeaders}Connection: close\r\n\r\n{body}";

    public static string Json(int status, string body, string extraHeaders = "") =>
        $"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n{extraHeaders}Connection: close\r\n\r\n{body}";

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_connections);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptSocketAsync(_stop.Token);
            }
            catch (Exception stopped) when (stopped is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            _connections.Add(ServeAsync(socket));
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using (socket)
        {
            socket.NoDelay = true;
            try
            {
                RawExchange exchange = await RawExchange.ReadAsync(socket, _stop.Token);
                Requests.Enqueue(exchange);
                await _serve(exchange);
                if (socket.Connected) socket.Shutdown(SocketShutdown.Send);
                // Until the other side has closed too, so that its last bytes do not turn our close into a reset.
                byte[] rest = new byte[1024];
                while (await socket.ReceiveAsync(rest, _stop.Token) > 0)
                {
                }
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException or EndOfStreamException)
            {
                // The proxy hung up or the test is over.
            }
        }
    }
}

/// <summary>One request as the raw upstream saw it, and the means to answer it.</summary>
internal sealed class RawExchange
{
    private readonly Socket _socket;
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private RawExchange(Socket socket, CancellationToken stopped)
    {
        _socket = socket;
        Stopped = stopped;
    }

    public CancellationToken Stopped { get; }

    public string Head { get; private set; } = "";

    public byte[] Body { get; private set; } = [];

    public string BodyText => Encoding.UTF8.GetString(Body);

    public string RequestLine => Head.Split("\r\n")[0];

    public string? Header(string name) => Head.Split("\r\n").Skip(1)
        .Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase)).Select(line => line[(name.Length + 1)..].Trim()).FirstOrDefault();

    public static async Task<RawExchange> ReadAsync(Socket socket, CancellationToken stopped)
    {
        RawExchange exchange = new(socket, stopped);
        List<byte> seen = [];
        byte[] buffer = new byte[64 * 1024];
        int headEnd;
        while ((headEnd = Find(seen, "\r\n\r\n"u8)) < 0) seen.AddRange(buffer[..await ReceiveAsync(socket, buffer, stopped)]);
        exchange.Head = Encoding.ASCII.GetString([.. seen[..headEnd]]);
        int length = int.Parse(exchange.Header("content-length") ?? "0", System.Globalization.CultureInfo.InvariantCulture);
        while (seen.Count < headEnd + 4 + length) seen.AddRange(buffer[..await ReceiveAsync(socket, buffer, stopped)]);
        exchange.Body = [.. seen[(headEnd + 4)..]];
        return exchange;
    }

    public Task SendAsync(string text) => SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await _socket.SendAsync(bytes, Stopped)..];
    }

    /// <summary>Ends the connection with a TCP reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Close();
    }

    /// <summary>Completes when the proxy has closed its side: it hung up.</summary>
    public async Task WaitForHangUpAsync()
    {
        try
        {
            byte[] one = new byte[1];
            if (await _socket.ReceiveAsync(one, Stopped) == 0) _gone.TrySetResult();
        }
        catch (SocketException)
        {
            _gone.TrySetResult();
        }

        await _gone.Task;
    }

    private static async Task<int> ReceiveAsync(Socket socket, byte[] buffer, CancellationToken stopped)
    {
        int read = await socket.ReceiveAsync(buffer, stopped);
        return read > 0 ? read : throw new EndOfStreamException();
    }

    private static int Find(List<byte> bytes, ReadOnlySpan<byte> mark) => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes).IndexOf(mark);
}
