using QwenProxy.Simulator;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Checks;

/// <summary>The sign-in of an OAuth account, on real sockets: good, mended on the way, ended, and not reachable.</summary>
public sealed class SignInCheckTests : IAsyncLifetime
{
    private const string WaysOut = "use an API key (set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL) or another account.";

    private readonly OAuthSimulator _server = new(TimeProvider.System);
    private readonly DoctorRun _doctor = new();
    private OAuthSimulatorHost _host = null!;
    private SimulatorServer _service = null!;
    private string? _scenario;
    private string _access = "";
    private string _refresh = "";

    private string FilePath => Path.Combine(_doctor.Folder.QwenHome, "oauth_creds.json");

    public async ValueTask InitializeAsync()
    {
        _service = await SimulatorServer.StartAsync(new SimulatorOptions { AcceptsToken = _server.Accepts, ChooseScenario = _ => _scenario });
        _host = await OAuthSimulatorHost.StartAsync(_server, TimeProvider.System, TestContext.Current.CancellationToken);
        _server.Options.ResourceUrl = _service.BaseUrl.AbsoluteUri;
        Prepare(_doctor);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _service.DisposeAsync();
        _doctor.Dispose();
    }

    [Fact]
    public async Task GoodSignIn_PassesAndTellsItsAgeAndItsEnd()
    {
        SignIn(seconds: 5 * 3600);
        Assert.Equal(0, await _doctor.RunAsync("doctor --json"));
        (string result, string says, _) = Find("token");
        Assert.Equal("ok", result);
        Assert.Matches(@"^the token was written [\d.]+ s ago and lasts (5|4\.9\d*) h more$", says);
        Assert.Equal(("ok", "ok", "ok"), (Find("file").Result, Find("endpoint").Result, Find("models").Result));
        Assert.Equal(0, _server.RefreshCalls);
        AssertNoToken();
    }

    [Fact]
    public async Task RefusedTokenThatCanBeRefreshed_PassesAfterOneRefresh()
    {
        SignIn();
        _server.RevokeAccess();
        Assert.Equal(0, await _doctor.RunAsync("doctor --json"));
        Assert.Equal("ok", Find("token").Result);
        Assert.Equal(1, _server.RefreshCalls);
        AssertNoToken();
    }

    [Fact]
    public async Task RefusedRefresh_IsSignedOutWithTheTwoWaysOut()
    {
        SignIn(seconds: -10);
        _server.RevokeRefresh();
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        (string result, string says, string? fix) = Find("token");
        Assert.Equal("fault", result);
        Assert.StartsWith("signed out: ", says, StringComparison.Ordinal);
        Assert.StartsWith("`qwen-proxy login`. Qwen's free sign-in service ended on 2026-04-15", fix, StringComparison.Ordinal);
        Assert.EndsWith(WaysOut, fix, StringComparison.Ordinal);
        Assert.Equal(1, _server.RefreshCalls);
        Assert.Empty(_service.Requests);
        AssertNoToken();
    }

    [Fact]
    public async Task TokenThatIsRefusedAfterARefreshToo_IsAFaultAndNoLoop()
    {
        SignIn();
        _scenario = "error-401-token";
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        (string result, string says, string? fix) = Find("token");
        Assert.Equal("fault", result);
        Assert.Contains("no newer one could be had: invalid access token or token expired", says, StringComparison.Ordinal);
        Assert.EndsWith(WaysOut, fix, StringComparison.Ordinal);
        Assert.Equal((1, 2), (_server.RefreshCalls, _service.Requests.Count));
    }

    [Theory]
    [InlineData("error-429-quota-free")]
    [InlineData("error-403-quota")]
    [InlineData("error-403-free-tier")]
    public async Task EndedService_IsToldInPlainWordsWithTheTwoWaysOut(string scenario)
    {
        SignIn();
        _scenario = scenario;
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        (string result, string says, string? fix) = Find("token");
        Assert.Equal("fault", result);
        Assert.StartsWith("the service no longer serves sign-ins: ", says, StringComparison.Ordinal);
        Assert.StartsWith("Qwen's free sign-in service ended on 2026-04-15", fix, StringComparison.Ordinal);
        Assert.EndsWith(WaysOut, fix, StringComparison.Ordinal);
        Assert.Equal((0, 1), (_server.RefreshCalls, _service.Requests.Count));
    }

    [Fact]
    public async Task ServiceWithoutAList_LeavesOpenWhetherItTakesTheToken()
    {
        SignIn();
        _scenario = "error-empty-404";
        Assert.Equal(0, await _doctor.RunAsync("doctor --json"));
        Assert.Equal(("note", null), (Find("endpoint").Result, Find("endpoint").Fix));
        Assert.Equal("ok", Find("token").Result);
        Assert.EndsWith("; whether the service takes it could not be seen", Find("token").Says, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RefreshThatFailsInPassing_IsNoSignOut()
    {
        SignIn(seconds: -10);
        _server.Stand(OAuthCall.Refresh, OAuthFault.BadGateway);
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        (string result, string says, string? fix) = Find("token");
        Assert.Equal("fault", result);
        Assert.StartsWith("the token is over and its refresh fails", says, StringComparison.Ordinal);
        Assert.StartsWith("the sign-in itself is kept", fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-10, "its refresh did not end within 10 s")]
    [InlineData(3600, "the service refuses the token (HTTP 401) and no newer one could be had")]
    public async Task RefreshThatHangs_IsGivenUp(int seconds, string expected)
    {
        FakeClock clock = new(TimeProvider.System.GetUtcNow());
        using DoctorRun doctor = new() { Time = clock };
        Prepare(doctor);
        SignIn(seconds, doctor.Folder.QwenHome);
        _server.RevokeAccess();
        _server.Stand(OAuthCall.Refresh, OAuthFault.Hung);
        Task<int> run = doctor.RunAsync("doctor --json");
        await Until.TrueAsync(() => _server.RefreshCalls > 0, TimeSpan.FromSeconds(30));
        clock.Advance(TimeSpan.FromSeconds(10));
        await Until.TrueAsync(() => doctor.Error.Contains("qwen-code: 1 fault", StringComparison.Ordinal), TimeSpan.FromSeconds(30));

        // At its end the program gives the refresh a moment more, since its token may be used up already.
        await Until.TrueAsync(() => Ended(run, clock), TimeSpan.FromSeconds(30));
        Assert.Equal(2, await run);
        (string result, string says, _) = doctor.Find("token", "qwen-code");
        Assert.Equal("fault", result);
        Assert.Contains(expected, says, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ClockOfTheSignInServer_IsLookedAtOnceItWasAsked()
    {
        SignIn(seconds: -10);
        _server.Options.ClockSkew = TimeSpan.FromMinutes(-7);
        Assert.Equal(2, await _doctor.RunAsync());
        Assert.Contains(_doctor.Lines, l => l.Contains("fault", StringComparison.Ordinal) && l.Contains("the sign-in server is 7 min behind this machine", StringComparison.Ordinal));
        Assert.Contains(_doctor.Lines, l => l.StartsWith("fix qwen-code clock: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task TokensThatOthersCanRead_AreAFault()
    {
        if (OperatingSystem.IsWindows()) return;
        SignIn();
        File.SetUnixFileMode(FilePath, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        Assert.Equal(("fault", $"chmod 600 {FilePath}"), (Find("file").Result, Find("file").Fix));
        Assert.Equal("ok", Find("token").Result);
    }

    [Fact]
    public async Task MissingFile_NamesTheLoginThatMakesIt()
    {
        _doctor.Configure("""{ "accounts": [ { "name": "work", "kind": "qwen-oauth" } ] }""");
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        Assert.Equal(("fault", "`qwen-proxy login work`"), (_doctor.Find("file", "work").Result, _doctor.Find("file", "work").Fix));
        Assert.Equal("fault", _doctor.Find("token", "work").Result);
        Assert.Equal("skipped", _doctor.Find("endpoint", "work").Result);
    }

    private static bool Ended(Task run, FakeClock clock)
    {
        if (!run.IsCompleted) clock.Advance(TimeSpan.FromSeconds(1));
        return run.IsCompleted;
    }

    private void Prepare(DoctorRun doctor) => doctor.Folder.Variables["QWEN_OAUTH_BASE_URL"] = _host.BaseUrl.AbsoluteUri;

    private (string Result, string Says, string? Fix) Find(string check) => _doctor.Find(check, "qwen-code");

    private void SignIn(double seconds = 3600, string? home = null)
    {
        (_access, _refresh) = _server.Issue();
        long expiry = TimeProvider.System.GetUtcNow().AddSeconds(seconds).ToUnixTimeMilliseconds();
        home = Directory.CreateDirectory(home ?? _doctor.Folder.QwenHome).FullName;
        string file = Path.Combine(home, "oauth_creds.json");
        File.WriteAllText(file, $$"""{"access_token":"{{_access}}","token_type":"Bearer","refresh_token":"{{_refresh}}","resource_url":"{{_service.BaseUrl}}","expiry_date":{{expiry}}}""");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    private void AssertNoToken()
    {
        Assert.DoesNotContain(_access, _doctor.Out + _doctor.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(_refresh, _doctor.Out + _doctor.Error, StringComparison.Ordinal);
    }
}
