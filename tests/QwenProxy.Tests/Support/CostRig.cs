using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace QwenProxy.Tests.Support;

/// <summary>
/// The program as a process of its own between a client and an upstream that are both played, in turn, by the test: so that what it takes for one request
/// or one event can be counted, by numbers that a busy machine does not change.
/// </summary>
internal sealed class CostRig : IDisposable
{
    private readonly Socket _listener;
    private readonly HttpClient _metrics;
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly Uri _address;

    private CostRig(ProxyProcess proxy, Uri address, Socket listener)
    {
        _listener = listener;
        _address = address;
        Proxy = proxy;
        _metrics = new HttpClient { BaseAddress = address };
    }

    public ProxyProcess Proxy { get; }

    public Socket? Upstream { get; set; }

    public static async Task<CostRig> StartAsync(TemporaryFolder home)
    {
        Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1024);
        Dictionary<string, string> variables = new()
        {
            ["PORT"] = "0",
            ["QWEN_API_KEY"] = "key-of-upstream",
            ["QWEN_BASE_URL"] = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndPoint!).Port}/v1",
            ["QWEN_PROXY_DATA"] = home.Of("data"),
            ["MAX_IDLE_CONNS"] = "1000",
            ["MAX_IDLE_CONNS_PER_HOST"] = "1000",
        };
        ProxyProcess proxy = ProxyProcess.Start(home.Path, variables, "serve");
        return new CostRig(proxy, await proxy.AddressAsync(), listener);
    }

    public static byte[] Request(bool stream, int bodyBytes)
    {
        string text = string.Concat(Enumerable.Repeat("a word and another, ", bodyBytes / 20));
        string body = $"{{\"model\":\"m\",\"stream\":{(stream ? "true" : "false")},\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}";
        return Encoding.ASCII.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: cost/1.0\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
    }

    public static byte[] Chunk(string text) => Encoding.ASCII.GetBytes($"{text.Length:x}\r\n{text}\r\n");

    public Socket Connect()
    {
        Socket client = NewSocket();
        client.Connect(new IPEndPoint(IPAddress.Loopback, _address.Port));
        return client;
    }

    public Socket Accept()
    {
        // A connection that never comes is a failed test, not one that waits.
        if (!_listener.Poll(TimeSpan.FromSeconds(20), SelectMode.SelectRead)) throw new TimeoutException("The proxy opened no connection.");
        return WithLimits(_listener.Accept());
    }

    /// <summary>Reads one request to its end, as an upstream does.</summary>
    public void TakeRequest(Socket upstream)
    {
        int have = 0;
        while (true)
        {
            have += Receive(upstream, have);
            int end = _buffer.AsSpan(0, have).IndexOf("\r\n\r\n"u8);
            if (end < 0) continue;
            string head = Encoding.ASCII.GetString(_buffer, 0, end);
            int at = head.IndexOf("content-length:", StringComparison.OrdinalIgnoreCase);
            int length = int.Parse(head[(at + 15)..].Split('\r')[0], CultureInfo.InvariantCulture);
            if (have >= end + 4 + length) return;
        }
    }

    /// <summary>Reads until what came ends with these bytes.</summary>
    public string ReadUntil(Socket client, ReadOnlySpan<byte> ending)
    {
        int have = 0;
        do have += Receive(client, have);
        while (!_buffer.AsSpan(0, have).EndsWith(ending));
        return Encoding.ASCII.GetString(_buffer, 0, have);
    }

    /// <summary>Bytes that the program has allocated, and work items its pool has done.</summary>
    public async Task<(long Allocated, long WorkItems)> CountAsync()
    {
        string text = await _metrics.GetStringAsync("/metrics");
        return (Of("dotnet_gc_heap_total_allocated_bytes_total "), Of("dotnet_thread_pool_work_item_count_total "));

        long Of(string name) => long.Parse(text.Split('\n').Single(l => l.StartsWith(name, StringComparison.Ordinal))[name.Length..], CultureInfo.InvariantCulture);
    }

    /// <summary>The sum of the series whose lines begin so.</summary>
    public async Task<long> SumAsync(string start)
    {
        string text = await _metrics.GetStringAsync("/metrics");
        return text.Split('\n').Where(l => l.StartsWith(start, StringComparison.Ordinal)).Sum(l => long.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    public async Task WaitUntilNothingRunsAsync()
    {
        for (int tries = 0; await SumAsync("qwen_proxy_requests_running") > 0; tries++)
        {
            if (tries == 200) throw new TimeoutException("Requests still run.");
            await Task.Delay(100);
        }
    }

    /// <summary>The system calls of the program's threads while something is done; null where they cannot be traced.</summary>
    public async Task<long?> SystemCallsAsync(TemporaryFolder folder, Action work)
    {
        if (!File.Exists("/usr/bin/strace")) return null;
        string file = folder.Of("strace");
        using Process strace = Process.Start(new ProcessStartInfo("/usr/bin/strace", ["-c", "-f", "-p", Proxy.Id.ToString(CultureInfo.InvariantCulture), "-o", file]) { RedirectStandardError = true })!;
        string? attached = await strace.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20));
        if (attached?.Contains("attached", StringComparison.Ordinal) != true) return null;
        work();
        using (Process stop = Process.Start("kill", ["-INT", strace.Id.ToString(CultureInfo.InvariantCulture)])) await stop.WaitForExitAsync();
        await strace.StandardError.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(20));
        await strace.WaitForExitAsync();
        string total = (await File.ReadAllLinesAsync(file)).Last(l => l.EndsWith(" total", StringComparison.Ordinal));
        return long.Parse(total.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3], CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        Proxy.Dispose();
        Upstream?.Dispose();
        _listener.Dispose();
        _metrics.Dispose();
    }

    private int Receive(Socket socket, int at)
    {
        int read = socket.Receive(_buffer, at, _buffer.Length - at, SocketFlags.None);
        return read > 0 ? read : throw new EndOfStreamException(Encoding.ASCII.GetString(_buffer, 0, at));
    }

    private static Socket NewSocket() => WithLimits(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));

    private static Socket WithLimits(Socket socket)
    {
        (socket.NoDelay, socket.ReceiveTimeout, socket.SendTimeout) = (true, 20_000, 20_000);
        return socket;
    }
}
