using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Hosting;

namespace QwenProxy.Tests.Support;

/// <summary>A proxy on a port of its own with a client for it, and everything it logged.</summary>
internal sealed class RunningProxy : IAsyncDisposable
{
    private readonly ProxyServer _server;

    private RunningProxy(ProxyServer server, LogBook log)
    {
        _server = server;
        Log = log;
        Client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = server.Address, Timeout = TimeSpan.FromSeconds(60) };
    }

    public HttpClient Client { get; }

    public LogBook Log { get; }

    public ProxyServer Server => _server;

    public ProxyRuntime Runtime => _server.Runtime;

    /// <summary>An account for an upstream of the test's.</summary>
    public static AccountSnapshot Account(string name, Uri baseUrl, int priority = 0) =>
        new() { Name = name, BaseUrl = baseUrl, Profile = Profiles.ByName("generic")!, ApiKey = new Secret($"key-of-{name}"), Priority = priority };

    public static Task<RunningProxy> StartAsync(Uri upstream, Func<ProxySnapshot, ProxySnapshot>? configure = null) =>
        StartAsync(new ProxySnapshot { Accounts = [Account("up", upstream)] }, configure);

    public static async Task<RunningProxy> StartAsync(ProxySnapshot snapshot, Func<ProxySnapshot, ProxySnapshot>? configure = null, TimeProvider? time = null)
    {
        snapshot = snapshot with { Port = 0 };
        if (configure is not null) snapshot = configure(snapshot);
        LogBook log = new();
        ILoggerFactory loggers = LoggerFactory.Create(builder => builder.SetMinimumLevel(LogLevel.Debug).AddProvider(log));
        ProxyRuntime runtime = new(snapshot, loggers, time ?? TimeProvider.System, new Random(1));
        return new RunningProxy(await ProxyServer.StartAsync(runtime, CancellationToken.None), log);
    }

    public static StringContent Json(string body) => new(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));

    public Task<HttpResponseMessage> PostAsync(string body, string path = "/v1/chat/completions", CancellationToken cancellationToken = default) =>
        Client.SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = Json(body) }, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    /// <summary>The response's text up to its end, and whether that end was an orderly one.</summary>
    public static async Task<(string Text, bool Orderly)> ReadAsync(HttpResponseMessage response)
    {
        using MemoryStream seen = new();
        Stream body = await response.Content.ReadAsStreamAsync();
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = await body.ReadAsync(buffer)) > 0) seen.Write(buffer, 0, read);
            return (Encoding.UTF8.GetString(seen.ToArray()), true);
        }
        catch (Exception broken) when (broken is IOException or HttpRequestException)
        {
            return (Encoding.UTF8.GetString(seen.ToArray()), false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _server.StopAsync(TimeSpan.FromSeconds(1));
        await _server.DisposeAsync();
    }
}

/// <summary>Every log line of a proxy under test, formatted.</summary>
internal sealed class LogBook : ILoggerProvider
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();

    public IEnumerable<string> Lines => _lines.Select(l => l.Text);

    public IEnumerable<string> At(LogLevel level) => _lines.Where(l => l.Level == level).Select(l => l.Text);

    public ILogger CreateLogger(string categoryName) => new Writer(_lines);

    public void Dispose()
    {
    }

    private sealed class Writer(ConcurrentQueue<(LogLevel, string)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue((logLevel, exception is null ? formatter(state, exception) : $"{formatter(state, exception)} {exception}"));
    }
}
