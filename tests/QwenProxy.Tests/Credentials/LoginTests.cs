using System.Text.Json;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

public sealed class LoginTests : IDisposable
{
    private readonly SignInWorld _world = new();
    private readonly StringWriter _out = new();
    private readonly StringWriter _err = new();

    public void Dispose()
    {
        _world.Dispose();
        _out.Dispose();
        _err.Dispose();
    }

    [Fact]
    public void ConfirmedCode_SavesTheNamedSignIn() => _world.Run(async () =>
    {
        _world.Server.Options.ConfirmsAfterPolls = 2;
        Assert.Equal(0, await LoginAsync(o => o with { Name = "work" }));
        string path = Path.Combine(_world.Folder, "qwenproxy_creds_work.json");
        QwenCredentials saved = CredentialsDocument.Parse(File.ReadAllBytes(path), out _)!;
        Assert.True(_world.Server.Accepts(saved.AccessToken.Reveal()));
        Assert.NotNull(saved.RefreshToken);
        Assert.Equal("portal.qwen.ai", saved.ResourceUrl);
        Assert.Equal(1, (saved.ExpiresAt!.Value - _world.Clock.GetUtcNow()).TotalHours, 0.01);
        string shown = _err.ToString();
        Assert.Contains("user_code=SIM-0001", shown);
        Assert.Contains("SIM-0001", shown);
        Assert.Contains("14:5", shown);
        Assert.Contains(path, shown);
        Assert.Empty(_out.ToString());
        Assert.DoesNotContain(saved.AccessToken.Reveal(), shown);
        Assert.DoesNotContain("sim-device", shown);
    });

    [Fact]
    public void EveryOddPollReply_IsWaitedThrough() => _world.Run(async () =>
    {
        _world.Server.Plan(
            OAuthCall.Poll, OAuthFault.Pending, OAuthFault.NullToken, OAuthFault.Html, OAuthFault.BadGateway, OAuthFault.Reset,
            OAuthFault.ServerError, OAuthFault.RefusedRequest, OAuthFault.EmptyOk, OAuthFault.Hung, OAuthFault.Slow(TimeSpan.FromSeconds(9)));
        _world.Server.Options.ConfirmsAfterPolls = 0;
        Assert.Equal(0, await LoginAsync());
        Assert.Equal(10, _world.Server.PollCalls);
    });

    [Fact]
    public void Interval_IsTheServersAndTwoSecondsWithoutOne() => _world.Run(async () =>
    {
        _world.Server.Options.ConfirmsAfterPolls = 9;
        DateTimeOffset began = _world.Clock.GetUtcNow();
        await LoginAsync();
        Assert.Equal(20, (_world.Clock.GetUtcNow() - began).TotalSeconds, 1.5);
        _world.Server.Options.IntervalSeconds = 7;
        began = _world.Clock.GetUtcNow();
        await LoginAsync();
        Assert.Equal(70, (_world.Clock.GetUtcNow() - began).TotalSeconds, 1.5);
    });

    [Theory]
    [InlineData(429)]
    [InlineData(400)]
    public void SlowDown_AddsFiveSecondsToEveryLaterPoll(int status) => _world.Run(async () =>
    {
        _world.Server.Options.ConfirmsAfterPolls = 1;
        _world.Server.Plan(OAuthCall.Poll, status == 429 ? OAuthFault.SlowDown429 : OAuthFault.SlowDown400);
        DateTimeOffset began = _world.Clock.GetUtcNow();
        Assert.Equal(0, await LoginAsync());
        Assert.Equal(2 + 7 + 7, (_world.Clock.GetUtcNow() - began).TotalSeconds, 1.0);
    });

    [Theory]
    [InlineData("expired", "expired")]
    [InlineData("denied", "denied")]
    [InlineData("401", "expired")]
    [InlineData("refused", "2026-04-15")]
    public void FinalPollReply_EndsTheLoginWithOne(string reply, string words) => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Poll, reply switch
        {
            "expired" => OAuthFault.ExpiredToken,
            "denied" => OAuthFault.AccessDenied,
            "401" => OAuthFault.Unauthorized,
            _ => OAuthFault.RefusedGrant,
        });
        Assert.Equal(1, await LoginAsync());
        Assert.Contains(words, _err.ToString());
        Assert.InRange(_world.Server.PollCalls, 1, 3);
        Assert.Empty(Directory.GetFiles(_world.Folder));
    });

    [Theory]
    [InlineData("""{"error":"authorization_pending"}""")]
    [InlineData("""{"error":"slow_down"}""")]
    [InlineData("""{"error":"invalid_client","error_description":"who are you"}""")]
    [InlineData("""{"access_token":null}""")]
    [InlineData("<html>gateway</html>")]
    [InlineData("")]
    public void Status401WhilePolling_EndsTheLoginAtOnce_WhateverTheBody(string body) => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Poll, OAuthFault.Unauthorized with { Body = body });
        Assert.Equal(1, await LoginAsync());
        Assert.Equal(1, _world.Server.PollCalls);
    });

    [Fact]
    public void CodeNobodyConfirms_ExpiresByItself() => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Poll, OAuthFault.Pending);
        _world.Server.Options.DeviceCodeLifetime = TimeSpan.FromSeconds(60);
        DateTimeOffset began = _world.Clock.GetUtcNow();
        Assert.Equal(1, await LoginAsync());
        Assert.Equal(60, (_world.Clock.GetUtcNow() - began).TotalSeconds, 1.0);
        Assert.Contains("run the login again", _err.ToString());
    });

    [Fact]
    public void PersonWhoGivesUp_LeavesEverythingAsItWas() => _world.Run(async () =>
    {
        using CancellationTokenSource stop = new(TimeSpan.FromSeconds(10), _world.Clock);
        Assert.Equal(1, await LoginAsync(stop: stop.Token));
        Assert.Contains("given up", _err.ToString());
        Assert.Empty(Directory.GetFiles(_world.Folder));
    });

    [Fact]
    public void ServerWithoutDeviceCodes_SaysThatTheServiceEndedAndTheWaysOut() => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Device, OAuthFault.Error(400, "invalid_client", "discontinued"));
        Assert.Equal(1, await LoginAsync());
        Assert.Contains("discontinued", _err.ToString());
        Assert.Contains("DASHSCOPE_API_KEY", _err.ToString());
    });

    [Fact]
    public void Json_IsOneObjectPerLineOnStdoutOnly() => _world.Run(async () =>
    {
        _world.Server.Plan(OAuthCall.Poll, OAuthFault.BadGateway);
        _world.Server.Options.ConfirmsAfterPolls = 0;
        Assert.Equal(0, await LoginAsync(o => o with { Json = true }));
        string[] events = _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonElement.Parse(line).GetProperty("event").GetString()!).ToArray();
        Assert.Equal(["prompt", "trouble", "done"], events);
        Assert.Empty(_err.ToString());
        Assert.DoesNotContain("sim-access", _out.ToString());
    });

    [Fact]
    public void Terminal_ShowsAQrCodeAndRedrawsTheTimeLeft() => _world.Run(async () =>
    {
        _world.Server.Options.ConfirmsAfterPolls = 2;
        string? opened = null;
        await LoginAsync(o => o with { IsTerminal = true, OpensBrowser = true, OpenBrowser = link => (opened = link).Length > 0 });
        Assert.Contains("user_code=SIM-0001", opened);
        Assert.Contains("█", _err.ToString());
        Assert.Contains("\rWaiting", _err.ToString());
    });

    [Theory]
    [InlineData("../x")]
    [InlineData("")]
    [InlineData(".hidden")]
    [InlineData("a b")]
    public void UnusableName_IsExit64AndAsksNobody(string name) => _world.Run(async () =>
    {
        Assert.Equal(64, await LoginAsync(o => o with { Name = name }));
        Assert.Equal(64, await LogoutCommand.RunAsync(Options() with { Name = name }, _out, _err, CancellationToken.None));
        Assert.Equal(0, _world.Server.DeviceCalls);
    });

    [Fact]
    public void LoginWhileServing_IsTakenOverByTheRunningBroker() => _world.Run(async () =>
    {
        string own = Path.Combine(_world.Folder, CredentialsPaths.OwnFile);
        TokenBroker broker = _world.Broker(o => o with { CredentialsPath = own, FallbackPath = _world.Path });
        broker.Start();
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        _world.Server.Options.ConfirmsAfterPolls = 0;
        Assert.Equal(0, await LoginAsync());
        await _world.PassAsync(10);
        Assert.True(_world.Server.Accepts(await SignInWorld.TokenAsync(broker)));

        Assert.Equal(0, await LogoutCommand.RunAsync(Options(), _out, _err, CancellationToken.None));
        Assert.False(File.Exists(own));
        Assert.True(File.Exists(own + ".bak"));
        await _world.PassAsync(10);
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        Assert.False(File.Exists(own));
        await broker.DisposeAsync();
    });

    [Fact]
    public void Logout_KeepsOlderBackupsAndSaysWhenThereIsNothing() => _world.Run(async () =>
    {
        string own = Path.Combine(_world.Folder, CredentialsPaths.OwnFile);
        Assert.Equal(2, await LogoutCommand.RunAsync(Options(), _out, _err, CancellationToken.None));
        File.WriteAllText(own, "first");
        Assert.Equal(0, await LogoutCommand.RunAsync(Options(), _out, _err, CancellationToken.None));
        File.WriteAllText(own, "second");
        Assert.Equal(0, await LogoutCommand.RunAsync(Options() with { Json = true }, _out, _err, CancellationToken.None));
        string[] backups = Directory.GetFiles(_world.Folder, "*.bak");
        Assert.Equal(["first", "second"], backups.Select(File.ReadAllText).Order());
        Assert.Equal("second", File.ReadAllText(own + ".bak"));
        Assert.Contains("\"event\":\"signed_out\"", _out.ToString());
        Assert.False(File.Exists(_world.LockPath));
    });

    [Fact]
    public void Paths_ListTheUnnamedFileFirstAndThenTheNamedOnes()
    {
        Assert.Empty(CredentialsPaths.Find(Path.Combine(_world.Folder, "nowhere")));
        foreach (string name in (string[])["qwenproxy_creds_b.json", "qwenproxy_creds_a.json", "oauth_creds.json", "qwenproxy_creds_a.json.bak"])
        {
            File.WriteAllText(Path.Combine(_world.Folder, name), "{}");
        }

        Assert.Equal([null, "a", "b"], CredentialsPaths.Find(_world.Folder).Select(f => f.Name));
        Assert.EndsWith("oauth_creds.json", CredentialsPaths.Find(_world.Folder)[0].Path);
        File.WriteAllText(Path.Combine(_world.Folder, "qwenproxy_creds.json"), "{}");
        Assert.EndsWith("qwenproxy_creds.json", CredentialsPaths.Find(_world.Folder)[0].Path);
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("javascript:alert(1)")]
    [InlineData("not a link")]
    public void Browser_OpensNothingButWebPages(string link) => Assert.False(BrowserLauncher.TryOpen(link));

    [Fact]
    public void NewLogin_KeepsUnknownFieldsOfTheFileItReplaces() => _world.Run(async () =>
    {
        string own = Path.Combine(_world.Folder, CredentialsPaths.OwnFile);
        File.WriteAllText(own, """{"access_token":"old","mine":[1,2]}""");
        _world.Server.Options.ConfirmsAfterPolls = 0;
        Assert.Equal(0, await LoginAsync());
        Assert.Contains("\"mine\":[1,2]", File.ReadAllText(own));
        Assert.NotEqual(new Secret("old"), CredentialsDocument.Parse(File.ReadAllBytes(own), out _)!.AccessToken);
    });

    private LoginOptions Options() => new()
    {
        QwenHome = _world.Folder,
        OAuthBaseUrl = new Uri("https://oauth.test"),
        OpensBrowser = false,
        Time = _world.Clock,
        Http = _world.Http,
        NewId = _world.NewId,
    };

    private Task<int> LoginAsync(Func<LoginOptions, LoginOptions>? change = null, CancellationToken stop = default) =>
        LoginCommand.RunAsync(change is null ? Options() : change(Options()), _out, _err, stop);
}
