using System.Net;
using System.Text;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Quotas;
using QwenProxy.Simulator;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Tests.Proxying;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

/// <summary>
/// A proxy that has had a bit of everything: healthy, repaired, resumed and refused requests, an account that is used up, one that is broken and one that
/// signs in, an edit of the configuration that was refused. What it then says at <c>/metrics</c> is <see cref="Text"/>.
/// </summary>
public sealed class MixedLoad : IAsyncLifetime
{
    private const string Model = "qwen3.7-max";

    public string Text { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        await using SimulatorServer good = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:stutter-s2|cut?events=5|healthy" });
        await using RawUpstream spent = RawUpstream.Always(RawUpstream.Json(429, """{"error":{"message":"Your quota is used up.","code":"insufficient_quota"}}""", "Retry-After: 7200\r\n"));
        await using RawUpstream broken = RawUpstream.Always(RawUpstream.Json(500, """{"error":{"message":"broken"}}"""));
        using TemporaryFolder home = new();
        OAuthSimulator signIn = new(TimeProvider.System, new OAuthSimulatorOptions { ResourceUrlOnRefresh = false });
        await using OAuthSimulatorHost server = await OAuthSimulatorHost.StartAsync(signIn, TimeProvider.System, TestContext.Current.CancellationToken);
        string credentials = WriteExpired(home.Of("qwenproxy_creds_me.json"), signIn.Issue(), good.BaseUrl);
        AccountSnapshot[] accounts =
        [
            RunningProxy.Account("spent", spent.BaseUrl) with { Models = [Model] },
            RunningProxy.Account("plan", good.BaseUrl, priority: 1) with { Models = [Model], Profile = Profiles.ByName("dashscope")!, Quota = new QuotaSettings { Windows = [new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = 100 }] } },
            RunningProxy.Account("broken", broken.BaseUrl) with { Models = ["only-here"] },
            new() { Name = "me", Kind = AccountKind.QwenOAuth, Profile = Profiles.ByName("generic")!, CredentialsPath = credentials, Models = ["mine"] },
        ];
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [.. accounts] }, s => s with
        {
            Clients = [new ClientSnapshot("alice", new Secret("key-of-alice"))],
            Storage = s.Storage with { OAuthBaseUrl = server.BaseUrl, QwenHome = home.Path },
            Retry = s.Retry with { MaxAttempts = 2 },
            Breaker = new BreakerSnapshot(2, 3600),
        });
        proxy.Client.DefaultRequestHeaders.Add("Authorization", "Bearer key-of-alice");
        for (int i = 0; i < 3; i++) Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, Dialect.Body(Dialect.Chat, stream: true, Model)));
        // Model Studio refuses an empty list of tools: it is left out.
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, Dialect.Body(Dialect.Chat, stream: false, Model).Replace("\"messages\"", "\"tools\":[],\"messages\"", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, Dialect.Body(Dialect.Chat, stream: false, "mine")));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, WithHostedTool, "/v1/messages"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, $$"""{"model":"{{Model}}","input":"a text"}""", "/v1/embeddings"));
        Assert.Equal(HttpStatusCode.InternalServerError, await AskAsync(proxy, Dialect.Body(Dialect.Chat, stream: true, "only-here")));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync(proxy, "not json"));
        proxy.Runtime.Refuse(["accounts[0].name is missing"]);
        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 9, TimeSpan.FromSeconds(20));
        Text = Encoding.UTF8.GetString(await proxy.Client.GetByteArrayAsync("/metrics"));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>A sign-in whose token is over: the first request refreshes it.</summary>
    private static string WriteExpired(string path, (string Access, string Refresh) tokens, Uri upstream)
    {
        File.WriteAllText(path, $$"""{"access_token":"{{tokens.Access}}","token_type":"Bearer","refresh_token":"{{tokens.Refresh}}","resource_url":"{{upstream}}","expiry_date":1}""");
        return path;
    }

    /// <summary>A tool that its maker's servers run is left out, which is noted.</summary>
    private static string WithHostedTool => Dialect.Body(Dialect.Messages, stream: true, Model)
        .Replace("\"messages\":[", """
            "tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{"type":"object"}}],"messages":[
            """, StringComparison.Ordinal);

    private static async Task<HttpStatusCode> AskAsync(RunningProxy proxy, string body, string path = "/v1/chat/completions")
    {
        using HttpResponseMessage response = await proxy.PostAsync(body, path);
        await RunningProxy.ReadAsync(response);
        return response.StatusCode;
    }
}
