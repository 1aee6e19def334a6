using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Simulator;

/// <summary>
/// A fake Qwen model service on a real socket: DashScope's OpenAI-compatible API (also under <c>/compatible-mode/v1</c>), its Anthropic and Responses
/// APIs, and every way in which the real ones are known to fail. What it answers is decided by named scenarios; see docs/simulator.md.
/// </summary>
public sealed class SimulatorServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly RequestLog _log;
    private readonly ConcurrentDictionary<string, ConnectionContext> _connections;
    private int _accepted;

    private SimulatorServer(WebApplication app, RequestLog log, ConcurrentDictionary<string, ConnectionContext> connections)
    {
        _app = app;
        _log = log;
        _connections = connections;
    }

    /// <summary>The base URL a client is configured with, <c>http://127.0.0.1:PORT/v1</c>.</summary>
    public Uri BaseUrl { get; private set; } = null!;

    /// <summary>Every scenario with its group and what it does, by name.</summary>
    public static IEnumerable<(string Name, string Group, string Summary)> Scenarios => ScenarioCatalogue.All.Select(s => (s.Name, s.Group, s.Summary));

    /// <summary>The newest requests, oldest first.</summary>
    public IReadOnlyList<RecordedRequest> Requests => _log.All;

    public int OpenConnections => _connections.Count;

    /// <summary>Connections accepted since the start.</summary>
    public int AcceptedConnections => Volatile.Read(ref _accepted);

    /// <exception cref="ScenarioException">The start scenario does not exist.</exception>
    public static async Task<SimulatorServer> StartAsync(SimulatorOptions options, CancellationToken cancellationToken = default)
    {
        ScenarioSelector.Check(options.Scenario);
        byte[]? replay = options.ReplayFile is { } file ? await File.ReadAllBytesAsync(file, cancellationToken) : null;
        RequestLog log = new(options.KeepRequests);
        RequestRouter router = new(options, log, replay);
        ConcurrentDictionary<string, ConnectionContext> connections = [];
        SimulatorServer? server = null;
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        // The host would otherwise catch Ctrl-C and SIGTERM, which in a demo belong to the proxy in the same process.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore();
        if (options.Certificate is not null) builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.UseSockets(s => s.UnsafePreferInlineScheduling = true);
        builder.WebHost.ConfigureKestrel(kestrel => ConfigureKestrel(kestrel, options, next => connection => server!.TrackAsync(connection, next)));
        WebApplication app = builder.Build();
        app.Run(http => options.OAuth is { } oauth && OAuthSimulatorEndpoints.Find(http, oauth, options.Time) is { } call ? call : router.HandleAsync(http));
        server = new SimulatorServer(app, log, connections);
        await app.StartAsync(cancellationToken);
        string address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        server.BaseUrl = new Uri(address + "/v1");
        if (options.OAuth is { } oauth)
        {
            oauth.BaseUrl = new Uri(address);
            oauth.Options.ResourceUrl ??= address;
        }

        return server;
    }

    /// <summary>Completes when this many requests have come in since the start.</summary>
    public Task WaitForRequestsAsync(int count, CancellationToken cancellationToken = default) => _log.WaitForAsync(count, cancellationToken);

    /// <summary>Breaks every open connection, idle ones too, as a restart of the service would.</summary>
    public void DropConnections()
    {
        foreach (ConnectionContext connection in _connections.Values) connection.Abort();
    }

    /// <summary>Stops at once: hanging replies are broken off.</summary>
    public async ValueTask DisposeAsync()
    {
        DropConnections();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private static void ConfigureKestrel(KestrelServerOptions kestrel, SimulatorOptions options, Func<ConnectionDelegate, ConnectionDelegate> track)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.Limits.MinRequestBodyDataRate = null;
        kestrel.Limits.MinResponseDataRate = null;
        kestrel.Limits.MaxRequestHeadersTotalSize = 128 * 1024;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 2000;
        kestrel.AllowAlternateSchemes = true;
        kestrel.Listen(System.Net.IPAddress.Parse(options.Host == "localhost" ? "127.0.0.1" : options.Host), options.Port, listen =>
        {
            listen.Protocols = !options.Http2 ? HttpProtocols.Http1 : options.Certificate is null ? HttpProtocols.Http2 : HttpProtocols.Http1AndHttp2;
            listen.Use(track);
            if (options.Certificate is { } certificate) listen.UseHttps(certificate);
        });
    }

    private async Task TrackAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        Interlocked.Increment(ref _accepted);
        _connections[connection.ConnectionId] = connection;
        try
        {
            await next(connection);
        }
        finally
        {
            _connections.TryRemove(connection.ConnectionId, out _);
        }
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
