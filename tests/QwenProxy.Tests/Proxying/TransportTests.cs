using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Hosting;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;
using QwenProxy.Upstreams;

namespace QwenProxy.Tests.Proxying;

/// <summary>The connections to upstreams: how many are kept, HTTP/2 over TLS, a proxy on the way.</summary>
public sealed class TransportTests
{
    private static readonly string Wanted = SimulatedAnswers.Meant("healthy", Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: true))).Text;

    [Fact]
    public async Task RequestsInARow_ShareOneConnection()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        for (int i = 0; i < 10; i++) await AskAsync(proxy, stream: i % 2 == 0);
        Assert.InRange(upstream.AcceptedConnections, 1, 2);
    }

    [Theory]
    [InlineData(2, 50)]
    [InlineData(50, 2)]
    public async Task IdleConnections_AreKeptUpToTheLimit(int all, int perHost)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "delay?ms=300" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Pool = new PoolSnapshot(all, perHost, 180) });
        await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => AskAsync(proxy, stream: true)));
        // All twelve ran at once: the limit is on idle connections, not on active ones.
        Assert.True(upstream.AcceptedConnections > 6);
        await Until.TrueAsync(() => upstream.OpenConnections <= 2, TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task ManyIdleConnections_AreKeptByDefault()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "delay?ms=300" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => AskAsync(proxy, stream: true)));
        int accepted = upstream.AcceptedConnections;
        Assert.True(upstream.OpenConnections > 6);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => AskAsync(proxy, stream: true)));
        Assert.InRange(upstream.AcceptedConnections, accepted, accepted + 1);
    }

    [Fact]
    public async Task IdleConnection_IsClosedAfterItsTime()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Pool = s.Pool with { IdleSeconds = 1 } });
        await AskAsync(proxy, stream: true);
        await Until.TrueAsync(() => upstream.OpenConnections == 0, TimeSpan.FromSeconds(60));
        await AskAsync(proxy, stream: true);
        Assert.Equal(2, upstream.AcceptedConnections);
    }

    [Fact]
    public async Task ConnectionThatDiedWhileIdle_IsNoErrorForTheClient()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        for (int i = 0; i < 5; i++)
        {
            await AskAsync(proxy, stream: true);
            upstream.DropConnections();
        }

        Assert.Equal(5, upstream.Requests.Count);
    }

    [Fact]
    public async Task Http2OverTls_IsSpokenAndSharesOneConnection()
    {
        using X509Certificate2 certificate = SelfSigned();
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Http2 = true, Certificate = certificate, EventGap = TimeSpan.FromMilliseconds(2) });
        UriBuilder address = new(upstream.BaseUrl) { Scheme = "https", Host = "localhost" };
        await using ProxyServer server = await StartAsync(address.Uri, handler => handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown!.GetCertHashString() == certificate.GetCertHashString());
        using HttpClient client = new() { BaseAddress = server.Address };
        // The first one alone, so that all others find its connection.
        await AskAsync(client);
        await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => AskAsync(client)));
        Assert.All(upstream.Requests, r => Assert.Equal("HTTP/2", r.Protocol));
        Assert.Equal(1, upstream.AcceptedConnections);
    }

    [Fact]
    public async Task CertificateThatNobodyTrusts_IsUpstreamUnreachable()
    {
        using X509Certificate2 certificate = SelfSigned();
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Certificate = certificate });
        UriBuilder address = new(upstream.BaseUrl) { Scheme = "https", Host = "localhost" };
        await using RunningProxy proxy = await RunningProxy.StartAsync(address.Uri, ErrorTests.OneAttempt);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        string message = StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("message").GetString()!;
        Assert.Contains("TLS", message, StringComparison.Ordinal);
        Assert.Empty(upstream.Requests);
    }

    [Fact]
    public async Task ProxyOnTheWay_IsAskedForPlainAndTunnelled()
    {
        using X509Certificate2 certificate = SelfSigned();
        await using SimulatorServer secure = await SimulatorServer.StartAsync(new SimulatorOptions { Certificate = certificate });
        await using TunnelProxy tunnel = new(secure.BaseUrl.Port);
        // The name resolves nowhere: only the proxy on the way can reach it.
        await using ProxyServer server = await StartAsync(new Uri("https://upstream.invalid/v1"), handler =>
        {
            handler.Proxy = new WebProxy(tunnel.Address);
            handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown!.GetCertHashString() == certificate.GetCertHashString();
        });
        using HttpClient client = new() { BaseAddress = server.Address };
        await AskAsync(client);
        Assert.Equal("CONNECT upstream.invalid:443 HTTP/1.1", Assert.Single(tunnel.RequestLines));

        await using RawUpstream absolute = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"via\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
        await using ProxyServer plain = await StartAsync(new Uri("http://upstream.invalid/v1"), handler => handler.Proxy = new WebProxy(new Uri(absolute.BaseUrl.GetLeftPart(UriPartial.Authority))));
        using HttpClient second = new() { BaseAddress = plain.Address };
        using HttpResponseMessage response = await second.PostAsync("/v1/chat/completions", RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)));
        Assert.Equal("via", StreamText.Content(await response.Content.ReadAsStringAsync()));
        Assert.Equal("POST http://upstream.invalid/v1/chat/completions HTTP/1.1", absolute.Requests.Single().RequestLine);
    }

    private static async Task AskAsync(RunningProxy proxy, bool stream)
    {
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream));
        string text = await response.Content.ReadAsStringAsync();
        Assert.Equal(Wanted, stream ? StreamText.Content(text) : Dialect.TextOf(Dialect.Chat, text));
    }

    private static async Task AskAsync(HttpClient client)
    {
        using HttpResponseMessage response = await client.PostAsync("/v1/chat/completions", RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)));
        Assert.Equal(Wanted, StreamText.Content(await response.Content.ReadAsStringAsync()));
    }

    private static Task<ProxyServer> StartAsync(Uri upstream, Action<SocketsHttpHandler> customize)
    {
        ProxySnapshot snapshot = new() { Port = 0, Accounts = [RunningProxy.Account("up", upstream)] };
        return ProxyServer.StartAsync(
            new ProxyRuntime(snapshot, LoggerFactory.Create(_ => { }), TimeProvider.System, new Random(1), new UpstreamTransport { Customize = customize }), CancellationToken.None);
    }

    internal static X509Certificate2 SelfSigned()
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 made = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }

    /// <summary>A proxy that knows CONNECT and leads every tunnel to one port of this machine.</summary>
    private sealed class TunnelProxy : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly int _port;
        private readonly Task _accepting;

        public TunnelProxy(int port)
        {
            _port = port;
            _listener.Start();
            _accepting = AcceptAsync();
        }

        public ConcurrentQueue<string> RequestLines { get; } = new();

        public Uri Address => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

        public async ValueTask DisposeAsync()
        {
            _listener.Stop();
            await _accepting;
        }

        private async Task AcceptAsync()
        {
            List<Task> tunnels = [];
            try
            {
                while (true) tunnels.Add(TunnelAsync(await _listener.AcceptTcpClientAsync()));
            }
            catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException)
            {
                // Tunnels end with the connections of both sides.
            }
        }

        private async Task TunnelAsync(TcpClient client)
        {
            using (client)
            using (TcpClient upstream = new())
            {
                try
                {
                    NetworkStream near = client.GetStream();
                    StringBuilder head = new();
                    byte[] one = new byte[1];
                    while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await near.ReadAsync(one) == 1) head.Append((char)one[0]);
                    RequestLines.Enqueue(head.ToString().Split("\r\n")[0]);
                    await upstream.ConnectAsync(IPAddress.Loopback, _port);
                    await near.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray());
                    NetworkStream far = upstream.GetStream();
                    await Task.WhenAny(near.CopyToAsync(far), far.CopyToAsync(near));
                }
                catch (Exception ended) when (ended is IOException or SocketException)
                {
                    // One side hung up.
                }
            }
        }
    }
}
