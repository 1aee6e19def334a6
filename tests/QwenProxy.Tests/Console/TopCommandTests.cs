using System.Globalization;
using System.Text.Json;
using QwenProxy.Console;
using QwenProxy.Simulator;
using QwenProxy.Testing;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;
using Spectre.Console;

namespace QwenProxy.Tests.Console;

/// <summary><c>qwen-proxy top</c>: what it prints for a pipe, and what fits into a terminal.</summary>
public sealed class TopCommandTests : IDisposable
{
    private readonly ConfigFolder _folder = new();
    private readonly StringWriter _out = new(CultureInfo.InvariantCulture);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ForAPipe_OneObjectOfTheMomentIsPrinted()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using (HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true))) await RunningProxy.ReadAsync(response);
        await Until.TrueAsync(() => proxy.Runtime.Requests.Recent().Length == 1, TimeSpan.FromSeconds(20));
        Assert.Equal(ExitCodes.Done, await RunAsync(proxy.Server.Address.Port));
        using JsonDocument printed = JsonDocument.Parse(_out.ToString());
        JsonElement root = printed.RootElement;
        Assert.Equal("up ready", string.Join(' ', new[] { "name", "state" }.Select(n => root.GetProperty("status").GetProperty("accounts")[0].GetProperty(n).GetString())));
        Assert.Equal(1, root.GetProperty("minute").GetProperty("requests").GetInt32());
        Assert.Equal(0, root.GetProperty("running").GetArrayLength());
    }

    [Fact]
    public async Task WithoutAProxy_ItSaysSoAndExits2()
    {
        Assert.Equal(ExitCodes.NotFound, await RunAsync(9));
        Assert.Contains("No proxy answers at http://127.0.0.1:9", _error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(80, 24, 1, 0)]
    [InlineData(80, 24, 12, 60)]
    [InlineData(60, 12, 3, 2)]
    [InlineData(200, 50, 12, 60)]
    public void View_FitsIntoItsTerminalWhateverThereIs(int width, int height, int accounts, int requests)
    {
        TopView view = new("http://127.0.0.1:8143");
        view.Take("status", Json($$"""{"version":"1.2.3+x","ready":"yes","uptimeSeconds":5000,"runningRequests":{{requests}},"waitingRequests":3,"accounts":[{{Many(accounts, i => $$"""{"name":"account-{{i}}","says":"week quota used up until tomorrow and then some","running":2,"atOnce":5,"quota":{"windows":[{"window":"week","percent":85.5},{"window":"5h","percent":null}] } }""")}}]}"""));
        view.Take("requests", Json($$"""{"running":[{{Many(requests, i => $$"""{"durationMs":65000,"model":"a-model-with-a-long-name-{{i}}","account":"account-1","client":"alice","answering":true,"responseBytes":123456}""")}}],"ended":[{{Many(requests, i => $$"""{"time":"2026-01-01T00:00:00+00:00","status":200,"end":"complete","model":"model\u001b[31m","account":"account-1","durationMs":1234,"outputTokens":77}""")}}],"minute":{"requests":5,"failed":1,"inputTokens":100,"outputTokens":50} }"""));
        using StringWriter drawn = new(CultureInfo.InvariantCulture);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(drawn), Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors });
        console.Profile.Width = width;
        console.Profile.Height = height;
        console.Write(view.Draw(width, height, new FakeClock()));
        string[] lines = drawn.ToString().TrimEnd('\n').Split('\n');
        Assert.InRange(lines.Length, 1, height);
        Assert.All(lines, l => Assert.InRange(l.TrimEnd().Length, 0, width));
        Assert.DoesNotContain('\u001b', drawn.ToString());
        string text = drawn.ToString();
        foreach (string shown in new[] { "Qwen Proxy 1.2.3", "last minute: 5 requests, 1 failed", "account-0", "q or Ctrl-C leaves" }) Assert.Contains(shown, text, StringComparison.Ordinal);
        if (accounts == 12 && height == 24) Assert.Contains("more", text, StringComparison.Ordinal);
        if (requests > 0) Assert.Contains("200 complete", text, StringComparison.Ordinal);
        view.Problem = "The proxy does not answer any more.";
        console.Write(view.Draw(width, height, new FakeClock()));
        Assert.Contains("does not answer any more", drawn.ToString(), StringComparison.Ordinal);
    }

    private static string Many(int count, Func<int, string> one) => string.Join(',', Enumerable.Range(0, count).Select(one));

    private static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    private Task<int> RunAsync(int port)
    {
        Terminal terminal = new(_out, _error);
        TopCommand top = new(terminal, flags => _folder.Sources with { Flags = flags }, TimeProvider.System);
        return CommandLine.RunAsync(["top", "--port", port.ToString(CultureInfo.InvariantCulture)], new CommandActions { Top = top.RunAsync }, terminal, TestContext.Current.CancellationToken);
    }
}
