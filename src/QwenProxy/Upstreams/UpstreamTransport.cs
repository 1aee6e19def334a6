using System.Collections.Concurrent;
using System.Net;
using System.Text;
using QwenProxy.Configuration;

namespace QwenProxy.Upstreams;

/// <summary>
/// The connections to upstreams. One pool serves all accounts; it is made anew when its settings change, and the old one ends with the
/// requests that still use it.
/// </summary>
internal sealed class UpstreamTransport : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, StrongBox> _inFlightPerHost = new(StringComparer.Ordinal);
    private Pool? _pool;
    private int _inFlight;

    /// <summary>For tests: how the handler is built may be adjusted (a trusted test certificate).</summary>
    public Action<SocketsHttpHandler>? Customize { get; init; }

    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, ProxySnapshot snapshot, CancellationToken cancellationToken)
    {
        HttpMessageInvoker invoker = InvokerFor(snapshot.Pool, snapshot.Timeouts.Connect);
        StrongBox perHost = _inFlightPerHost.GetOrAdd(request.RequestUri!.Authority, static _ => new StrongBox());
        int host = Interlocked.Increment(ref perHost.Value);
        int all = Interlocked.Increment(ref _inFlight);
        // The handler can cap active connections, which would make requests wait, but not idle ones. So the connections that a burst opens
        // beyond what may be kept are told to close when their request is done.
        if (host > snapshot.Pool.MaxIdleConnectionsPerHost || all > snapshot.Pool.MaxIdleConnections) request.Headers.ConnectionClose = true;
        InFlight inFlight = new(this, perHost);
        try
        {
            HttpResponseMessage response = await invoker.SendAsync(request, cancellationToken);
            response.RequestMessage!.Options.Set(InFlight.Key, inFlight);
            return response;
        }
        catch
        {
            inFlight.End();
            throw;
        }
    }

    /// <summary>Gives a response back; an unfinished one is cut off at once, which tells the upstream to stop.</summary>
    public static void Release(HttpResponseMessage response)
    {
        if (response.RequestMessage?.Options.TryGetValue(InFlight.Key, out InFlight? inFlight) == true) inFlight.End();
        response.Dispose();
    }

    public void Dispose()
    {
        lock (_gate) _pool?.Invoker.Dispose();
    }

    private HttpMessageInvoker InvokerFor(PoolSnapshot settings, TimeSpan connectTimeout)
    {
        Pool? pool = Volatile.Read(ref _pool);
        if (pool is not null && pool.Settings == settings && pool.ConnectTimeout == connectTimeout) return pool.Invoker;
        lock (_gate)
        {
            pool = _pool;
            if (pool is not null && pool.Settings == settings && pool.ConnectTimeout == connectTimeout) return pool.Invoker;
            // The old pool is not disposed: running requests are on it, and its idle connections end by their own time limit.
            _pool = new Pool(settings, connectTimeout, new HttpMessageInvoker(BuildHandler(settings, connectTimeout)));
            return _pool.Invoker;
        }
    }

    private SocketsHttpHandler BuildHandler(PoolSnapshot settings, TimeSpan connectTimeout)
    {
        SocketsHttpHandler handler = new()
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            // Null also takes the handler out that would make an Activity of every request; nobody listens to those.
            ActivityHeadersPropagator = null,
            ConnectTimeout = connectTimeout,
            // A key or a header of an account's may hold any character; what its owner wrote is sent, and upstream says what it thinks of it.
            RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
            EnableMultipleHttp2Connections = true,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(settings.IdleSeconds),
            PooledConnectionLifetime = TimeSpan.FromMinutes(15),
            MaxResponseHeadersLength = 64,
        };
        Customize?.Invoke(handler);
        return handler;
    }

    private sealed record Pool(PoolSnapshot Settings, TimeSpan ConnectTimeout, HttpMessageInvoker Invoker);

    private sealed class StrongBox
    {
        public int Value;
    }

    private sealed class InFlight(UpstreamTransport owner, StrongBox perHost)
    {
        public static readonly HttpRequestOptionsKey<InFlight> Key = new("qwen-proxy.in-flight");
        private int _ended;

        public void End()
        {
            if (Interlocked.Exchange(ref _ended, 1) == 1) return;
            Interlocked.Decrement(ref perHost.Value);
            Interlocked.Decrement(ref owner._inFlight);
        }
    }
}
