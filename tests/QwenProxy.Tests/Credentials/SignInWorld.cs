using System.Net;
using System.Text;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Credentials;

/// <summary>A folder, a simulated OAuth server without sockets, a fake clock and the brokers made on them.</summary>
internal sealed class SignInWorld : IDisposable
{
    private readonly SimulatorHandler _handler;
    private readonly HttpMessageInvoker _http;
    private int _ids;

    public SignInWorld()
    {
        Server = new OAuthSimulator(Clock, new OAuthSimulatorOptions { ResourceUrl = "portal.qwen.ai" });
        _handler = new SimulatorHandler(Server, Clock);
        _http = new HttpMessageInvoker(_handler);
        Folder = Directory.CreateTempSubdirectory("qwen-proxy-signin-").FullName;
        Path = System.IO.Path.Combine(Folder, "oauth_creds.json");
    }

    public FakeClock Clock { get; } = new();

    public OAuthSimulator Server { get; }

    public string Folder { get; }

    public string Path { get; }

    public string LockPath => System.IO.Path.Combine(Folder, CredentialsLock.FileName);

    public HttpMessageInvoker Http => _http;

    public ListLogger Log { get; } = new();

    public void Run(Func<Task> body) => FakeTimeRun.Run(Clock, body);

    public Task PassAsync(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), Clock);

    public string NewId() => $"id-{Interlocked.Increment(ref _ids):D5}";

    public TokenBroker Broker(Func<TokenBrokerOptions, TokenBrokerOptions>? change = null)
    {
        TokenBrokerOptions options = new()
        {
            AccountName = "me",
            CredentialsPath = Path,
            OAuthBaseUrl = new Uri("https://oauth.test"),
            NewId = NewId,
        };
        return new TokenBroker(change is null ? options : change(options), _http, Clock, new Random(7), Log);
    }

    /// <summary>Writes a sign-in that the server knows and that has <paramref name="seconds"/> left; returns its access token.</summary>
    public string SignIn(double seconds = 3600, string? resource = "portal.qwen.ai", string more = "")
    {
        (string access, string refresh) = Server.Issue();
        Write(access, refresh, seconds, resource, more);
        return access;
    }

    public void Write(string access, string? refresh, double seconds, string? resource = "portal.qwen.ai", string more = "")
    {
        long expiry = Clock.GetUtcNow().AddSeconds(seconds).ToUnixTimeMilliseconds();
        string text = $"{{{more}\"access_token\":\"{access}\",\"token_type\":\"Bearer\""
            + $"{Member("refresh_token", refresh)}{Member("resource_url", resource)},\"expiry_date\":{expiry}}}";
        string temporary = Path + ".new";
        File.WriteAllText(temporary, text);
        File.Move(temporary, Path, overwrite: true);
    }

    public QwenCredentials OnDisk() => CredentialsDocument.Parse(File.ReadAllBytes(Path), out string? fault) ?? throw new InvalidDataException(fault);

    public static async Task<string> TokenAsync(TokenBroker broker)
    {
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        return result.Token?.Reveal() ?? throw new InvalidOperationException(result.Error!.Message);
    }

    public void Dispose()
    {
        _http.Dispose();
        _handler.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private static string Member(string name, string? value) => value is null ? "" : $",\"{name}\":\"{value}\"";

    /// <summary>The simulated server behind an invoker: no sockets, and time as the fake clock has it.</summary>
    private sealed class SimulatorHandler(OAuthSimulator server, FakeClock clock) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Dictionary<string, string> form = [];
            foreach (string pair in (await request.Content!.ReadAsStringAsync(cancellationToken)).Split('&'))
            {
                string[] parts = pair.Split('=');
                form[Uri.UnescapeDataString(parts[0])] = Uri.UnescapeDataString(parts[1].Replace('+', ' '));
            }

            OAuthAnswer answer = server.Answer(request.RequestUri!.AbsolutePath == OAuthSimulatorEndpoints.DevicePath, form);
            if (answer.Hangs) await Task.Delay(Timeout.InfiniteTimeSpan, clock, cancellationToken);
            await Task.Delay(answer.Delay > TimeSpan.Zero ? answer.Delay : TimeSpan.FromMilliseconds(80), clock, cancellationToken);
            if (answer.Resets) throw new HttpRequestException("connection reset");
            HttpResponseMessage response = new((HttpStatusCode)answer.Status) { Content = new StringContent(answer.Body, Encoding.UTF8) };
            response.Headers.Date = server.Now;
            return response;
        }
    }
}

/// <summary>Keeps every line, so that a test can look for what must not be there.</summary>
internal sealed class ListLogger : ILogger
{
    private readonly List<string> _lines = [];

    public string Text
    {
        get
        {
            lock (_lines) return string.Join('\n', _lines);
        }
    }

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_lines) _lines.Add($"{logLevel} {eventId.Id} {formatter(state, exception)} {exception}");
    }
}

/// <summary>Disks and folders that fail on command, for any user: modes do not stop root.</summary>
internal sealed class FailingFiles : DurableFiles
{
    public bool IsFull { get; set; }

    public bool IsReadOnly { get; set; }

    public override void WriteNew(string path, ReadOnlySpan<byte> content)
    {
        if (IsReadOnly) throw new UnauthorizedAccessException($"Access to the path '{path}' is denied.");
        if (!IsFull)
        {
            base.WriteNew(path, content);
            return;
        }

        base.WriteNew(path, content[..(content.Length / 2)]);
        File.Delete(path);
        throw new IOException("No space left on device");
    }

    public override void Replace(string from, string to)
    {
        if (IsReadOnly) throw new UnauthorizedAccessException($"Access to the path '{to}' is denied.");
        base.Replace(from, to);
    }
}
