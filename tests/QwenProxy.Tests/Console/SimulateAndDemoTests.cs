using System.Globalization;
using System.Text.Json;
using QwenProxy.Console;
using QwenProxy.Credentials;
using QwenProxy.Simulator;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console;

public sealed class SimulateAndDemoTests
{
    private readonly StringWriter _out = new(CultureInfo.InvariantCulture);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);

    [Fact]
    public async Task List_NamesEveryScenarioOfTheDocument()
    {
        SimulateCommand command = new(new Terminal(_out, _error));
        Assert.Equal(ExitCodes.Done, await command.RunAsync(new SimulateOptions(null, null, null) { List = true }, CancellationToken.None));
        string document = RepositoryFiles.Read("docs/simulator.md");
        string[] names = [.. _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(l => l.Split(' ')[0])];
        Assert.Contains("stutter-s2", names);
        Assert.All(names, n => Assert.Contains($"`{n}", document, StringComparison.Ordinal));
        _out.GetStringBuilder().Clear();
        await command.RunAsync(new SimulateOptions(null, null, null) { List = true, Json = true }, CancellationToken.None);
        using JsonDocument json = JsonDocument.Parse(_out.ToString());
        Assert.Equal(names, json.RootElement.EnumerateArray().Select(s => s.GetProperty("name").GetString()));
    }

    [Fact]
    public async Task ReplayFileThatIsNotThere_Exits2()
    {
        Assert.Equal(ExitCodes.NotFound, await new SimulateCommand(new Terminal(_out, _error)).RunAsync(new SimulateOptions(null, null, "/no/such/file"), CancellationToken.None));
        Assert.Contains("/no/such/file", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Login_CanBeTriedAtTheSimulator()
    {
        using TemporaryFolder home = new();
        OAuthSimulator oauth = new(TimeProvider.System, new OAuthSimulatorOptions { ConfirmsAfterPolls = 1, IntervalSeconds = 1 });
        await using SimulatorServer server = await SimulatorServer.StartAsync(new SimulatorOptions { OAuth = oauth, AcceptsToken = oauth.Accepts }, TestContext.Current.CancellationToken);
        QwenProxy.Credentials.LoginOptions options = new() { QwenHome = home.Path, OAuthBaseUrl = new Uri(server.BaseUrl.GetLeftPart(UriPartial.Authority)), IsTerminal = false };
        Assert.Equal(ExitCodes.Done, await LoginCommand.RunAsync(options, _out, _error, TestContext.Current.CancellationToken));
        string file = Assert.Single(Directory.GetFiles(home.Path, "*.json"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(new QwenProxy.Configuration.ProxySnapshot
        {
            Accounts =
            [
                new QwenProxy.Core.Accounts.AccountSnapshot { Name = "me", Kind = QwenProxy.Core.Accounts.AccountKind.QwenOAuth, CredentialsPath = file, Profile = QwenProxy.Core.Catalogue.Profiles.ByName("qwen-portal")! },
            ],
            Storage = new QwenProxy.Configuration.StorageSnapshot { OAuthBaseUrl = options.OAuthBaseUrl, QwenHome = home.Path },
        });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Demo_EndsWithTheRuleThatRepaired()
    {
        Assert.Equal(ExitCodes.Done, await new DemoCommand(new Terminal(_out, _error)).RunAsync(new DemoOptions(null, null, Once: true), TestContext.Current.CancellationToken));
        Assert.Matches(@"Repaired by stutter \S+ \(removed \d+ times?\)", _error.ToString());
    }

    [Fact]
    public async Task DemoThatStays_NamesThePageAndTheWayOut()
    {
        using CancellationTokenSource stop = new();
        Task<int> demo = new DemoCommand(new Terminal(_out, _error)).RunAsync(new DemoOptions(0, null, Once: false), stop.Token);
        await Until.TrueAsync(() => demo.IsCompleted || _error.ToString().Contains("Ctrl-C stops the demo.", StringComparison.Ordinal), TimeSpan.FromSeconds(60));
        Assert.Matches(@"The page is http://127\.0\.0\.1:\d+/", _error.ToString());
        await stop.CancelAsync();
        Assert.Equal(ExitCodes.Done, await demo);
    }
}
