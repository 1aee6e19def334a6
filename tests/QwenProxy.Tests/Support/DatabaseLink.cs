using System.Net;
using System.Net.Sockets;

namespace QwenProxy.Tests.Support;

/// <summary>
/// The network between a replica and its database: a relay from a port to the server's socket that can be cut (connections end, new ones are refused),
/// silenced (connections stand and carry nothing) and slowed down.
/// </summary>
internal sealed class DatabaseLink : IAsyncDisposable
{
    private readonly string _socket;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<Socket> _open = [];
    private readonly Task _accepting;
    private volatile bool _isCut;
    private volatile TaskCompletionSource? _silence;

    public DatabaseLink(PostgresServer server, string url)
    {
        _socket = server.SocketFile;
        _listener.Start();
        string name = new Uri(url.Replace("postgres@/", "postgres@socket/", StringComparison.Ordinal)).AbsolutePath;
        Url = $"postgres://postgres@127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}{name}?sslmode=disable";
        _accepting = AcceptAsync();
    }

    /// <summary>The same database by way of this link.</summary>
    public string Url { get; }

    /// <summary>How long each message takes to the server.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>The server is gone: its connections end, and new ones end at once.</summary>
    public void Cut()
    {
        _isCut = true;
        lock (_gate)
        {
            foreach (Socket socket in _open) socket.Dispose();
            _open.Clear();
        }
    }

    /// <summary>Nothing comes through, and nobody is told.</summary>
    public void Silence() => _silence = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>All is well again; what waited arrives.</summary>
    public void Mend()
    {
        _isCut = false;
        Interlocked.Exchange(ref _silence, null)?.SetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        Mend();
        Cut();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync(_stop.Token);
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            _ = RelayAsync(client);
        }
    }

    private async Task RelayAsync(Socket client)
    {
        using Socket server = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using (client)
        {
            lock (_gate)
            {
                if (_isCut) return;
                _open.Add(client);
                _open.Add(server);
            }

            try
            {
                await server.ConnectAsync(new UnixDomainSocketEndPoint(_socket));
                await Task.WhenAny(CopyAsync(client, server, isRequest: true), CopyAsync(server, client, isRequest: false));
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                // The server is not there, or the link was cut meanwhile: the client's connection ends with this method.
            }
        }
    }

    private async Task CopyAsync(Socket from, Socket to, bool isRequest)
    {
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = await from.ReceiveAsync(buffer)) > 0)
            {
                if (_silence is { } silence) await silence.Task;
                if (isRequest && Delay > TimeSpan.Zero) await Task.Delay(Delay, TimeProvider.System);
                for (int sent = 0; sent < read;) sent += await to.SendAsync(buffer.AsMemory(sent, read - sent));
            }
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
        {
            // One side ended; the other one follows.
        }
    }
}
