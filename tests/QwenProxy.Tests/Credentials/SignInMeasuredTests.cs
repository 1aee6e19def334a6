using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

/// <summary>
/// The cases that other proxies lose, on real sockets, real threads and real processes; each prints its figure as a diagnostic message.
/// </summary>
public sealed class SignInMeasuredTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qwen-proxy-measured-").FullName;
    private readonly OAuthSimulator _server = new(TimeProvider.System);
    private readonly SocketsHttpHandler _handler = new() { AllowAutoRedirect = false };
    private HttpMessageInvoker _http = null!;
    private OAuthSimulatorHost _host = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _http = new HttpMessageInvoker(_handler);
        _host = await OAuthSimulatorHost.StartAsync(_server, TimeProvider.System, Stop);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _host.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task SixtySimultaneousRequests_ThreeAccounts_NoneFails()
    {
        TokenBroker[] brokers = [.. Enumerable.Range(0, 3).Select(i => Broker(SignIn($"qwenproxy_creds_{i}.json", seconds: -10)))];
        HttpStatusCode[] statuses = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => Task.Run(() => AskAsProxyAsync(brokers[i % 3]), Stop)));
        Assert.All(statuses, s => Assert.Equal(HttpStatusCode.OK, s));
        Assert.Equal((3, 0), (_server.RefreshCalls, _server.RefreshTokensReused));
        Say("60 simultaneous requests, 3 accounts", statuses.Count(s => s != HttpStatusCode.OK), "3 refreshes");
    }

    [Fact]
    public async Task TwentySimultaneousRequests_RevokedToken_NoneFailsAndOneRefresh()
    {
        TokenBroker broker = Broker(SignIn("oauth_creds.json", seconds: 3600));
        _server.RevokeAccess();
        HttpStatusCode[] statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => AskAsProxyAsync(broker), Stop)));
        Assert.All(statuses, s => Assert.Equal(HttpStatusCode.OK, s));
        Assert.Equal((1, 0), (_server.RefreshCalls, _server.RefreshTokensReused));
        Say("20 simultaneous on a revoked token, rotating refresh token", statuses.Count(s => s != HttpStatusCode.OK), "1 refresh");
    }

    [Fact]
    public async Task LateRefusalOfTheOldToken_IsRetriedWithoutASecondRefresh()
    {
        string path = SignIn("oauth_creds.json", seconds: -10);
        string old = CredentialsDocument.Parse(await File.ReadAllBytesAsync(path, Stop), out _)!.AccessToken.Reveal();
        TokenBroker broker = Broker(path);
        Assert.Equal(HttpStatusCode.OK, await AskAsProxyAsync(broker));
        Assert.True(await broker.RecoverAsync(old, AuthFailure.Refused, Stop));
        HttpStatusCode status = await AskAsync(await broker.GetValidAccessTokenAsync(Stop));
        Assert.Equal((HttpStatusCode.OK, 1), (status, _server.RefreshCalls));
        Say("late 401 with the old token", status == HttpStatusCode.OK ? 0 : 1, "no second refresh");
    }

    [Fact]
    public async Task TokenEndpointDown_TokenStillValid_Serves()
    {
        _server.Stand(OAuthCall.Refresh, OAuthFault.Reset);
        TokenBroker broker = Broker(SignIn("oauth_creds.json", seconds: 290));
        broker.Start();
        HttpStatusCode[] statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsProxyAsync(broker)));
        Assert.All(statuses, s => Assert.Equal(HttpStatusCode.OK, s));
        await broker.DisposeAsync();
        Say("token endpoint down, token valid 5 min more", statuses.Count(s => s != HttpStatusCode.OK), "200");
    }

    [Fact]
    public async Task AnotherProgramRefreshedTheFile_ServesWithItsToken()
    {
        TokenBroker broker = Broker(SignIn("oauth_creds.json", seconds: 3600));
        Assert.Equal(HttpStatusCode.OK, await AskAsProxyAsync(broker));
        _server.RevokeAccess();
        SignIn("oauth_creds.json", seconds: 3600);
        HttpStatusCode status = await AskAsProxyAsync(broker);
        Assert.Equal((HttpStatusCode.OK, 0), (status, _server.RefreshCalls));
        Say("another program refreshed the file", status == HttpStatusCode.OK ? 0 : 1, "no refresh");
    }

    [Fact]
    public async Task TwoProcesses_OneHome_RevokedToken_BothServeWithOneRefresh()
    {
        string path = SignIn("oauth_creds.json", seconds: 3600);
        using Process one = StartSecondProgram(path, "once");
        using Process two = StartSecondProgram(path, "once");
        Assert.Equal(("ready", "ready"), (await one.StandardOutput.ReadLineAsync(Stop), await two.StandardOutput.ReadLineAsync(Stop)));
        _server.RevokeAccess();
        await Task.WhenAll(one.StandardInput.WriteLineAsync("go"), two.StandardInput.WriteLineAsync("go"));
        await Task.WhenAll(one.StandardInput.FlushAsync(Stop), two.StandardInput.FlushAsync(Stop));
        string?[] statuses = await Task.WhenAll(one.StandardOutput.ReadLineAsync(Stop).AsTask(), two.StandardOutput.ReadLineAsync(Stop).AsTask());
        await Task.WhenAll(one.WaitForExitAsync(Stop), two.WaitForExitAsync(Stop));
        Assert.All(statuses, s => Assert.Equal("200", s));
        Assert.Equal((1, 0), (_server.RefreshCalls, _server.RefreshTokensReused));
        Assert.Equal([path], Directory.GetFiles(_folder));
        Say("2 processes, one home, revoked token", statuses.Count(s => s != "200"), "1 refresh");
    }

    [Fact]
    public async Task ProcessKilledDuringRefreshes_LeavesAWholeFileEveryTime()
    {
        Random chance = new(11);
        int whole = 0;
        for (int round = 0; round < 8; round++)
        {
            string path = SignIn("oauth_creds.json", seconds: 3600);
            int fatalCall = _server.RefreshCalls + 1 + chance.Next(4);
            int spins = chance.Next(200_000);
            TaskCompletionSource called = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _server.RefreshDecided = call =>
            {
                if (call == fatalCall) called.TrySetResult();
            };
            using Process process = StartSecondProgram(path, "churn");
            await called.Task.WaitAsync(Stop);

            // Anywhere between the server's decision and the end of the save.
            Thread.SpinWait(spins);
            process.Kill();
            await process.WaitForExitAsync(Stop);
            QwenCredentials? left = CredentialsDocument.Parse(await File.ReadAllBytesAsync(path, Stop), out string? fault);
            Assert.Null(fault);
            Assert.NotNull(left!.RefreshToken);
            if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            whole++;

            // What the killed process left behind grows old, as it would before the next start.
            string leftLock = Path.Combine(_folder, CredentialsLock.FileName);
            if (File.Exists(leftLock)) File.SetLastWriteTimeUtc(leftLock, DateTime.UnixEpoch);
        }

        Say($"kill -9 during refresh, {whole} times", 0, "file whole each time");
    }

    private static void Say(string what, int failed, string more) =>
        TestContext.Current.SendDiagnosticMessage("{0}: {1} failed, {2}", what, failed, more);

    private Process StartSecondProgram(string path, string what)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "QwenProxy.SecondProgram.dll");
        ProcessStartInfo start = new("dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (string argument in (string[])[program, path, _host.BaseUrl.AbsoluteUri, what]) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    private TokenBroker Broker(string path) => new(
        new TokenBrokerOptions { AccountName = "me", CredentialsPath = path, OAuthBaseUrl = _host.BaseUrl }, _http, TimeProvider.System,
        new Random(3), NullLogger.Instance);

    private string SignIn(string name, double seconds)
    {
        (string access, string refresh) = _server.Issue();
        string path = Path.Combine(_folder, name);
        long expiry = TimeProvider.System.GetUtcNow().AddSeconds(seconds).ToUnixTimeMilliseconds();
        string temporary = path + ".new";
        File.WriteAllText(
            temporary,
            $"{{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\","
            + $"\"resource_url\":\"{_server.Options.ResourceUrl}\",\"expiry_date\":{expiry}}}");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.Move(temporary, path, overwrite: true);
        return path;
    }

    /// <summary>What the proxy does with one request: a token, the call, and one retry when the token was refused.</summary>
    private async Task<HttpStatusCode> AskAsProxyAsync(TokenBroker broker)
    {
        AccessTokenResult token = await broker.GetValidAccessTokenAsync(Stop);
        HttpStatusCode status = await AskAsync(token);
        if (status != HttpStatusCode.Unauthorized || !await broker.RecoverAsync(token.Token!.Reveal(), AuthFailure.Refused, Stop)) return status;
        return await AskAsync(await broker.GetValidAccessTokenAsync(Stop));
    }

    private async Task<HttpStatusCode> AskAsync(AccessTokenResult token)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, token.BaseUrl + "/whoami");
        request.Headers.Authorization = new("Bearer", token.Token!.Reveal());
        using HttpResponseMessage response = await _http.SendAsync(request, Stop);
        return response.StatusCode;
    }
}
