using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using QwenProxy.Console;
using QwenProxy.Console.Installed;
using QwenProxy.Observability;

namespace QwenProxy.Tests.Console.Installed;

public sealed class UpdateCommandTests
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    private static ProgramVersion Program(string version, string path = "") => new(version, "", ".NET 10.0.1", "native", "linux-x64", path);

    private async Task<int> AskAsync(string version, string releases, bool json = false, string path = "") =>
        await new UpdateCommand(new Terminal(_out, _error), Program(version, path), name => name == "QWEN_PROXY_RELEASES" ? releases : null)
            .RunAsync(new(json), TestContext.Current.CancellationToken);

    private static string ListOf(params string[] versions) =>
        string.Concat(versions.Select(v => $"{new string('0', 64)}  install.sh\n{new string('1', 64)}  qwen-proxy-{v}-linux-x64.tar.gz\n"));

    [Fact]
    public async Task NewerRelease_IsNamedWithTheWayToTakeIt()
    {
        await using OnePage page = new(ListOf("1.3.0"));

        Assert.Equal(ExitCodes.Done, await AskAsync("1.2.3", page.Address, path: "/home/a/.local/lib/qwen-proxy/qwen-proxy"));

        Assert.Equal("1.3.0 is out; this is 1.2.3. Take it by running install.sh again.", _out.ToString().Trim());
        Assert.StartsWith("GET /latest/download/SHA256SUMS ", page.Asked, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SameRelease_SaysSo()
    {
        await using OnePage page = new(ListOf("1.2.3"));

        Assert.Equal(ExitCodes.Done, await AskAsync("1.2.3", page.Address, json: true));

        using JsonDocument json = JsonDocument.Parse(_out.ToString());
        Assert.False(json.RootElement.GetProperty("update").GetBoolean());
    }

    [Fact]
    public async Task NoNetwork_IsOneSentenceAndExit1()
    {
        Assert.Equal(ExitCodes.Failed, await AskAsync("1.2.3", "http://127.0.0.1:9"));

        Assert.StartsWith("Could not ask 127.0.0.1 for the newest release: ", _error.ToString(), StringComparison.Ordinal);
        Assert.Empty(_out.ToString());
    }

    [Fact]
    public async Task AListWithoutARelease_IsExit1()
    {
        await using OnePage page = new("<html>nothing here</html>");

        Assert.Equal(ExitCodes.Failed, await AskAsync("1.2.3", page.Address));
    }

    [Fact]
    public async Task PlainHttpToAnotherMachine_IsRefused() => Assert.Equal(ExitCodes.BadUsage, await AskAsync("1.2.3", "http://releases.example"));

    [Theory]
    [InlineData("1.3.0", "1.2.9", true)]
    [InlineData("1.10.0", "1.9.0", true)]
    [InlineData("1.2.3", "1.2.3", false)]
    [InlineData("1.2.3", "1.2.3-dev.gabc", true)]
    [InlineData("1.2.2", "1.2.3-dev.gabc", false)]
    [InlineData("1.2.3", "2.0.0", false)]
    public void Numbers_AreComparedAsNumbers(string newest, string mine, bool newer) => Assert.Equal(newer, UpdateCommand.IsNewer(newest, mine));

    /// <summary>Answers one request with a text and remembers its first line.</summary>
    private sealed class OnePage : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Task _serving;

        public OnePage(string text)
        {
            _listener.Start();
            _serving = ServeAsync(text);
        }

        public string Address => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

        public string Asked { get; private set; } = "";

        public async ValueTask DisposeAsync()
        {
            await _serving.WaitAsync(TimeSpan.FromSeconds(30));
            _listener.Dispose();
        }

        private async Task ServeAsync(string text)
        {
            using TcpClient client = await _listener.AcceptTcpClientAsync();
            using StreamReader reader = new(client.GetStream(), Encoding.ASCII);
            Asked = await reader.ReadLineAsync() ?? "";
            while (await reader.ReadLineAsync() is { Length: > 0 }) continue;
            byte[] answer = Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {Encoding.UTF8.GetByteCount(text)}\r\nConnection: close\r\n\r\n{text}");
            await client.GetStream().WriteAsync(answer);
        }
    }
}
