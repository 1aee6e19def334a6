using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Endpoints;

namespace QwenProxy.Hosting;

/// <summary>The running proxy: a Kestrel server over a <see cref="ProxyRuntime"/>. Tests start it on port 0.</summary>
internal sealed class ProxyServer : IAsyncDisposable
{
    /// <summary>Kestrel answers larger headers by itself with a bare 431; up to here the proxy answers, in words.</summary>
    private const int KestrelHeaderBytes = 256 * 1024;

    private static readonly UTF8Encoding LenientUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: false);

    private readonly WebApplication _app;

    private ProxyServer(WebApplication app, ProxyRuntime runtime)
    {
        _app = app;
        Runtime = runtime;
    }

    public ProxyRuntime Runtime { get; }

    public Uri Address { get; private set; } = null!;

    /// <summary>Switches that must be set before the first socket is opened; what each is worth is in docs/performance.md.</summary>
    public static void PrepareProcess()
    {
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        // A failed stream is ended by closing the connection. A reset would race the error event before it; a FIN comes after it.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.FinOnError", true);
    }

    public static async Task<ProxyServer> StartAsync(ProxyRuntime runtime, CancellationToken cancellationToken)
    {
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.FinOnError", true);
        ProxySnapshot snapshot = runtime.Snapshot;
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "qwen-proxy" });
        builder.Logging.Services.AddSingleton(runtime.LoggerFactory);
        // Signals are the command's, which drains before it stops the server; the host's own lifetime would stop it at once.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore().UseSockets(o => o.UnsafePreferInlineScheduling = runtime.InlineScheduling).ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MaxRequestHeadersTotalSize = Math.Max(KestrelHeaderBytes, snapshot.Limits.HeaderBytes * 2);
            kestrel.Limits.MaxRequestHeaderCount = 1000;
            kestrel.Limits.MaxRequestLineSize = 64 * 1024;
            // A slow reader slows its own stream down and nobody else's: it is not cut off for it.
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(10);
            // What the pipe to a slow client may hold before upstream is no longer read.
            kestrel.Limits.MaxResponseBufferSize = 64 * 1024;
            kestrel.AllowSynchronousIO = false;
            // Bytes that are no UTF-8 become a mark in the text; by default they would be the end of the request.
            kestrel.RequestHeaderEncodingSelector = static _ => LenientUtf8;
            Listen(kestrel, snapshot);
        });
        WebApplication app = builder.Build();
        Routes.Map(app, runtime.Doors);
        ProxyServer server = new(app, runtime);
        try
        {
            await runtime.OpenAsync(cancellationToken);
            await app.StartAsync(cancellationToken);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }

        server.Address = AddressOf(app, snapshot);
        runtime.Start(server.Address);
        return server;
    }

    /// <summary>Stops as a signal asks: no new requests, running streams may finish for drainSeconds, then the rest ends with an error event.</summary>
    public async Task StopAsync(TimeSpan? drain = null)
    {
        await Runtime.Drain.DrainAsync(drain ?? Runtime.Snapshot.Timeouts.Drain, Runtime.Instruments.Time);
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(2));
        await _app.StopAsync(limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        await Runtime.DisposeAsync();
    }

    private static void Listen(KestrelServerOptions kestrel, ProxySnapshot snapshot)
    {
        if (snapshot.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) && snapshot.Port != 0) kestrel.ListenLocalhost(snapshot.Port, Http1);
        else if (IPAddress.TryParse(snapshot.Host.Trim('[', ']'), out IPAddress? address)) kestrel.Listen(address, snapshot.Port, Http1);
        else if (snapshot.Host is "*" or "+") kestrel.ListenAnyIP(snapshot.Port, Http1);
        else kestrel.Listen(snapshot.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? IPAddress.Loopback : Dns.GetHostAddresses(snapshot.Host)[0], snapshot.Port, Http1);
    }

    private static void Http1(ListenOptions listen) => listen.Protocols = HttpProtocols.Http1;

    private static Uri AddressOf(WebApplication app, ProxySnapshot snapshot)
    {
        Uri bound = new(app.Urls.First().Replace("[::]", "[::1]", StringComparison.Ordinal).Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal));
        return snapshot.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? new UriBuilder(bound) { Host = "localhost" }.Uri : bound;
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
