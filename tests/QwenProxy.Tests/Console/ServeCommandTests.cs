using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using QwenProxy.Console;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console;

/// <summary>The program as a process: what it says when it cannot listen, what signals do to it, and what it gives back.</summary>
public sealed class ServeCommandTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("serve", "qwen-proxy cannot listen on 127.0.0.1:")]
    [InlineData("demo", "The demo cannot listen on 127.0.0.1:")]
    [InlineData("simulate", "The simulator cannot listen on 127.0.0.1:")]
    public async Task PortInUse_IsOneSentenceAndNoStack(string command, string begin)
    {
        using TcpListener taken = new(IPAddress.Loopback, 0);
        taken.Start();
        string port = ((IPEndPoint)taken.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        using ProxyProcess program = Start(new(), command, "--port", port);
        Task answering = HangUpOnEveryoneAsync(taken);
        Assert.Equal(1, await program.ExitCodeAsync());
        taken.Stop();
        await answering;
        string said = Assert.Single(program.Lines, l => !l.StartsWith('{'));
        Assert.Equal($"{begin}{port}: another program listens there. Stop it or choose another port with --port.", said);
        Assert.DoesNotContain(program.Lines.Concat(program.Output), l => l.Contains("   at ", StringComparison.Ordinal) || l.Contains("Exception", StringComparison.Ordinal));
    }

    [Fact]
    public async Task PortOfAnotherProxy_IsSaidToBeIts()
    {
        await using RunningProxy other = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using ProxyProcess program = Start(new(), "serve", "--port", other.Server.Address.Port.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(1, await program.ExitCodeAsync());
        Assert.Contains("a qwen-proxy listens there already", Assert.Single(program.Lines, l => !l.StartsWith('{')), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddressOfNoInterface_IsOneSentenceAndNoStack()
    {
        using ProxyProcess program = Start(new() { ["QWEN_PROXY_KEYS"] = "sk-client" }, "serve", "--host", "192.0.2.1", "--port", "0");
        Assert.Equal(1, await program.ExitCodeAsync());
        Assert.Equal("qwen-proxy cannot listen on 192.0.2.1:0: this machine has no such address. Choose one that it has with --host, such as 127.0.0.1.", Assert.Single(program.Lines, l => !l.StartsWith('{')));
    }

    [Theory]
    [InlineData(SocketError.AccessDenied, "127.0.0.1", "qwen-proxy cannot listen on 127.0.0.1:80: this user may not use that port, as a rule because it is below 1024. Choose another one with --port.")]
    [InlineData(SocketError.HostNotFound, "nowhere.invalid", "qwen-proxy cannot listen on nowhere.invalid:80: the name cannot be resolved. Choose an address with --host, such as 127.0.0.1.")]
    [InlineData(SocketError.AddressNotAvailable, "::2", "qwen-proxy cannot listen on [::2]:80: this machine has no such address. Choose one that it has with --host, such as 127.0.0.1.")]
    public async Task OtherRefusals_NameTheWayOut(SocketError error, string host, string sentence)
    {
        SocketException failure = new((int)error);
        Assert.True(ListenProblem.Is(failure) && ListenProblem.Is(new IOException("cannot", failure)));
        Assert.Equal(sentence, await ListenProblem.TellAsync("qwen-proxy", host, 80, new IOException("cannot", failure), CancellationToken.None));
    }

    [Fact]
    public async Task HangUpSignal_LoadsTheConfigurationAndOpensTheLogAnewWhileAStreamRuns()
    {
        if (OperatingSystem.IsWindows()) return;
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = Halting(goOn.Task);
        await using RawUpstream next = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"new\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
        string config = _folder.Of("config.json");
        await File.WriteAllTextAsync(config, Config("old", upstream.BaseUrl));
        using ProxyProcess program = Start(new(), "serve", "--config", config);
        using HttpClient client = new() { BaseAddress = await program.AddressAsync() };
        using HttpResponseMessage running = await PostAsync(client);
        string log = _folder.Of("data", "logs", "proxy.log");
        File.Move(log, log + ".moved");
        await File.WriteAllTextAsync(config, Config("new", next.BaseUrl));
        program.Signal("HUP");
        await Until.TrueAsync(() => File.Exists(log) && program.Lines.Any(l => l.Contains("Configuration loaded again", StringComparison.Ordinal)), Soon);
        using HttpResponseMessage fresh = await PostAsync(client);
        Assert.Equal("new", Assert.Single(fresh.Headers.GetValues("x-qwen-proxy-account")));
        goOn.SetResult();
        Assert.Equal("first last", StreamText.Content((await RunningProxy.ReadAsync(running)).Text));
        program.Signal("TERM");
        Assert.Equal(0, await program.ExitCodeAsync());
    }

    [Theory]
    [InlineData("QUIT")]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task SignalToStop_LetsARunningStreamFinish(string signal)
    {
        if (OperatingSystem.IsWindows()) return;
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = Halting(goOn.Task);
        using ProxyProcess program = Start(new() { ["QWEN_BASE_URL"] = upstream.BaseUrl.ToString() }, "serve", "--port", "0");
        using HttpClient client = new() { BaseAddress = await program.AddressAsync() };
        using HttpResponseMessage running = await PostAsync(client);
        program.Signal(signal);
        await Until.TrueAsync(() => program.Lines.Any(l => l.StartsWith("Stopping;", StringComparison.Ordinal)), Soon);
        goOn.SetResult();
        (string text, bool orderly) = await RunningProxy.ReadAsync(running);
        Assert.Equal("first last", StreamText.Content(text));
        Assert.True(orderly);
        Assert.Equal(0, await program.ExitCodeAsync());
    }

    [Fact]
    public async Task EndOfTheTerminal_LetsARunningStreamFinish()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "There is no script(1) to make a terminal.");
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = Halting(goOn.Task);
        string program = Path.Combine(AppContext.BaseDirectory, "qwen-proxy");
        ProcessStartInfo start = new("/usr/bin/script", ["-q", "-c", $"exec '{program}' serve --port 0", "/dev/null"]) { RedirectStandardOutput = true, RedirectStandardInput = true, WorkingDirectory = _folder.Path };
        start.Environment["HOME"] = _folder.Path;
        start.Environment["QWEN_BASE_URL"] = upstream.BaseUrl.ToString();
        using Process terminal = Process.Start(start)!;
        const string mark = "Page: ";
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        string line = "";
        while (!line.StartsWith(mark, StringComparison.Ordinal)) line = await terminal.StandardOutput.ReadLineAsync(limit.Token) ?? throw new EndOfStreamException("The program ended.");
        Uri address = new(line[mark.Length..].Trim());
        using HttpClient client = new() { BaseAddress = address };
        using HttpResponseMessage running = await PostAsync(client);
        terminal.Kill();
        await Until.TrueAsync(() => IsDraining(client), Soon);
        goOn.SetResult();
        Assert.Equal("first last", StreamText.Content((await RunningProxy.ReadAsync(running)).Text));
        await Until.TrueAsync(() => !Listens(address), Soon);
    }

    [Fact]
    public async Task AfterLargeRequests_MemoryComesBack()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Resident memory is read from /proc.");
        string chunk = string.Concat(Enumerable.Repeat($"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{string.Concat(Enumerable.Repeat("lorem ipsum ", 80))}\"}}}}]}}\n\n", 1000));
        await using RawUpstream large = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(""));
            int times = exchange.BodyText.Contains("long", StringComparison.Ordinal) ? 60 : 1;
            for (int i = 0; i < times; i++) await exchange.SendAsync(chunk);
            await exchange.SendAsync("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        });
        using ProxyProcess program = Start(new() { ["QWEN_BASE_URL"] = large.BaseUrl.ToString() }, "serve", "--port", "0");
        using HttpClient client = new() { BaseAddress = await program.AddressAsync(), Timeout = TimeSpan.FromMinutes(3) };
        for (int i = 0; i < 20; i++) await DrainAsync(await PostAsync(client));
        long before = program.ResidentBytes();
        await DrainAsync(await PostAsync(client, new string('x', 40 * 1024 * 1024)));
        Assert.True(await DrainAsync(await PostAsync(client, "long")) > 50_000_000);
        await Until.TrueAsync(() => program.ResidentBytes() <= before * 13 / 10, TimeSpan.FromSeconds(60));
    }

    private static async Task<long> DrainAsync(HttpResponseMessage response)
    {
        using (response)
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Stream body = await response.Content.ReadAsStreamAsync();
            byte[] buffer = new byte[64 * 1024];
            long all = 0;
            int read;
            while ((read = await body.ReadAsync(buffer)) > 0) all += read;
            return all;
        }
    }

    private static bool IsDraining(HttpClient client)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        using HttpResponseMessage response = client.Send(request);
        return response.StatusCode == HttpStatusCode.ServiceUnavailable;
    }

    private static bool Listens(Uri address)
    {
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, address.Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task HangUpOnEveryoneAsync(TcpListener listener)
    {
        try
        {
            while (true) (await listener.AcceptSocketAsync()).Close();
        }
        catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The test is over.
        }
    }

    private static RawUpstream Halting(Task goOn) => new(async exchange =>
    {
        await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"first \"}}]}\n\n"));
        await goOn;
        await exchange.SendAsync("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"last\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    });

    private static Task<HttpResponseMessage> PostAsync(HttpClient client, string question = "hi") =>
        client.SendAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true, question: question)) }, HttpCompletionOption.ResponseHeadersRead);

    private string Config(string account, Uri upstream) =>
        $$"""{ "port": 0, "storage": { "logFile": true, "dataFolder": "{{_folder.Of("data")}}" }, "accounts": [ { "name": "{{account}}", "baseUrl": "{{upstream}}" } ] }""";

    private ProxyProcess Start(Dictionary<string, string> variables, params string[] arguments) => ProxyProcess.Start(_folder.Path, variables, arguments);
}
