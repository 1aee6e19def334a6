using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>What the admin API does: with accounts, and with the keys of clients.</summary>
public sealed class AdminActionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Resume_TakesBackAnIsolationAndNothingElse()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-401-key" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using (HttpResponseMessage refused = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true))) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        await PostAsync(proxy, "/admin/accounts/up/isolate");
        Assert.Equal("isolated", await StateAsync(proxy));
        await PostAsync(proxy, "/admin/accounts/up/resume");
        Assert.Equal("key refused", await StateAsync(proxy));
        await PostAsync(proxy, "/admin/accounts/up/reset");
        Assert.Equal("ready", await StateAsync(proxy));
        Assert.Equal(["Account up: isolate by this machine", "Account up: resume by this machine", "Account up: reset by this machine"], proxy.Log.At(LogLevel.Information).Where(l => l.StartsWith("Account up:", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Probe_AsksWhateverHoldsTheAccountBackAndForgivesItWhenItAnswers()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:error-401-key|error-401-key|healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [RunningProxy.Account("up", upstream.BaseUrl) with { Models = ["m"] }] });
        using (HttpResponseMessage refused = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true))) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        JsonElement first = await PostAsync(proxy, "/admin/accounts/up/probe");
        Assert.Equal("m False 401 invalid_key", $"{first.GetProperty("model")} {first.GetProperty("answered")} {first.GetProperty("status")} {first.GetProperty("end")}");
        Assert.Contains("qwen-proxy doctor", first.GetProperty("fix").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("key-of-up", first.GetRawText(), StringComparison.Ordinal);
        Assert.Equal("key refused", await StateAsync(proxy));
        JsonElement second = await PostAsync(proxy, "/admin/accounts/up/probe");
        Assert.True(second.GetProperty("answered").GetBoolean());
        Assert.Equal("ready", await StateAsync(proxy));
        Assert.Equal(3, upstream.Requests.Count);
    }

    [Fact]
    public async Task Probe_OfAnIsolatedAccountLeavesItIsolated()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        await PostAsync(proxy, "/admin/accounts/up/isolate");
        Assert.True((await PostAsync(proxy, "/admin/accounts/up/probe", """{"model":"qwen3.7-plus"}""")).GetProperty("answered").GetBoolean());
        Assert.Equal("isolated", await StateAsync(proxy));
    }

    [Fact]
    public async Task Keys_AreMadeListedRenewedAndEnded()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Storage = new StorageSnapshot { DataFolder = _folder.Path } });
        JsonElement made = await PostAsync(proxy, "/admin/keys", """{"name":"team","models":["m","qwen*"],"tokensPerDay":"100000","requestsPerMinute":30,"expires":"30d"}""");
        string key = made.GetProperty("key").GetString()!;
        await Until.TrueAsync(() => proxy.Runtime.Snapshot.Keys.Named("team") is not null, TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, key));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(proxy, null));
        JsonElement list = Assert.Single((await GetAsync(proxy, "/admin/keys")).GetProperty("keys").EnumerateArray());
        Assert.Equal("team valid True 30 29 100000", string.Join(' ', new[] { "name", "state", "stored", "requestsPerMinute", "requestsLeft", "tokensPerDay" }.Select(n => list.GetProperty(n).ToString())));
        Assert.True(list.GetProperty("tokensToday").GetInt64() > 0);
        Assert.StartsWith(list.GetProperty("prefix").GetString()!, key, StringComparison.Ordinal);
        Assert.False(list.TryGetProperty("key", out _));
        JsonElement renewed = await PostAsync(proxy, "/admin/keys/team/rotate", """{"grace":"0"}""");
        string second = renewed.GetProperty("key").GetString()!;
        await Until.TrueAsync(async () => await AskAsync(proxy, second) == HttpStatusCode.OK, TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(proxy, key));
        await PostAsync(proxy, "/admin/keys/team/revoke");
        await Until.TrueAsync(async () => await AskAsync(proxy, second) == HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(10));
        Assert.DoesNotContain(proxy.Log.Lines, l => l.Contains(key, StringComparison.Ordinal) || l.Contains(second, StringComparison.Ordinal));
        foreach (string did in new[] { "added", "renewed", "revoked" }) Assert.Contains($"The key of client team was {did} by this machine", proxy.Log.Lines);
    }

    [Theory]
    [InlineData("/admin/keys", """{"name":"a b"}""", 400, "name must be a name")]
    [InlineData("/admin/keys", """{"name":"a","tokensPerDay":"many"}""", 400, "tokensPerDay must be a whole number")]
    [InlineData("/admin/keys", """{"name":"a","expires":"soon"}""", 400, "expires must be a date")]
    [InlineData("/admin/keys", """{"name":"a","tokensPerHour":5}""", 400, "There is no limit 'tokensPerHour'")]
    [InlineData("/admin/keys", """{"name":"boss"}""", 409, "The configuration already has a client named boss")]
    [InlineData("/admin/keys", "nothing", 400, "not a JSON object")]
    [InlineData("/admin/keys/none/rotate", "{}", 404, "There is no client named none")]
    [InlineData("/admin/keys/boss/revoke", "{}", 404, "stands in the configuration")]
    [InlineData("/admin/keys/none/rotate", """{"grace":"long"}""", 400, "grace must be a span")]
    [InlineData("/admin/keys/none/forget", "{}", 404, "rotate and revoke")]
    public async Task Keys_WhatCannotBeDoneIsToldAndNothingIsDone(string path, string body, int status, string said)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"),
            s => s with { Storage = new StorageSnapshot { DataFolder = _folder.Path }, Clients = [new ClientSnapshot("boss", new Secret("sk-admin"), IsAdmin: true)] });
        using HttpResponseMessage response = await proxy.Client.PostAsync(path, RunningProxy.Json(body));
        string text = await response.Content.ReadAsStringAsync();
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(said, text.Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.Of("keys.json")));
    }

    [Fact]
    public async Task Keys_WithoutADataFolder_Are409()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using HttpResponseMessage response = await proxy.Client.PostAsync("/admin/keys", RunningProxy.Json("""{"name":"a"}"""));
        Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
        Assert.False((await GetAsync(proxy, "/admin/keys")).GetProperty("kept").GetBoolean());
    }

    private static async Task<HttpStatusCode> AskAsync(RunningProxy proxy, string? key)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)) };
        if (key is not null) request.Headers.Authorization = new("Bearer", key);
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        return response.StatusCode;
    }

    private static async Task<JsonElement> PostAsync(RunningProxy proxy, string path, string? body = null)
    {
        using HttpResponseMessage response = await proxy.Client.PostAsync(path, body is null ? null : RunningProxy.Json(body));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
        using JsonDocument json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
    }

    private static async Task<JsonElement> GetAsync(RunningProxy proxy, string path)
    {
        using JsonDocument json = JsonDocument.Parse(await proxy.Client.GetStringAsync(path));
        return json.RootElement.Clone();
    }

    private static async Task<string> StateAsync(RunningProxy proxy) => (await GetAsync(proxy, "/admin/status")).GetProperty("accounts")[0].GetProperty("state").GetString()!;
}
