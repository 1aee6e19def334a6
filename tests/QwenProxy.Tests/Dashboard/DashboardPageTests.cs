using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Endpoints;
using QwenProxy.Hosting;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Dashboard;

/// <summary>The page at <c>/</c>: who gets it, what it may do, and that it asks for nothing that is not there.</summary>
public sealed partial class DashboardPageTests
{
    private const string ClientKey = "sk-plain-canary";
    private const string AdminKey = "sk-admin-canary";

    [Theory]
    [InlineData("GET")]
    [InlineData("HEAD")]
    public async Task Page_IsServedToThisMachineWithoutAKey(string method)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), WithKeys);
        using HttpRequestMessage request = new(new HttpMethod(method), "/");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/html; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
        Assert.True(response.Content.Headers.ContentLength > 1000);
        string page = await response.Content.ReadAsStringAsync();
        if (method == "HEAD") Assert.Empty(page);
        else Assert.StartsWith("<!doctype html>", page, StringComparison.Ordinal);
        using HttpResponseMessage post = await proxy.Client.PostAsync("/", null);
        Assert.Equal(HttpStatusCode.NotFound, post.StatusCode);
    }

    [Fact]
    public async Task Policy_AllowsThePagesOwnScriptAndStyleOnly()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using HttpResponseMessage response = await proxy.Client.GetAsync("/");
        string page = await response.Content.ReadAsStringAsync();
        Dictionary<string, string> policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy")).Split("; ").Select(d => d.Split(' ', 2)).ToDictionary(d => d[0], d => d[1]);
        Assert.Equal("'none'", policy["default-src"]);
        Assert.Equal($"'sha256-{Hash(Script().Match(page).Groups[1].Value)}'", policy["script-src"]);
        Assert.Equal($"'sha256-{Hash(Style().Match(page).Groups[1].Value)}'", policy["style-src"]);
        Assert.Equal("'self'", policy["connect-src"]);
        Assert.Equal("data:", policy["img-src"]);
        foreach (string closed in new[] { "base-uri", "form-action", "frame-ancestors", "trusted-types" }) Assert.Equal("'none'", policy[closed]);
        Assert.DoesNotContain(policy.Values, v => v.Contains("unsafe", StringComparison.Ordinal) || v.Contains('*', StringComparison.Ordinal));
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("DENY", Assert.Single(response.Headers.GetValues("X-Frame-Options")));
        Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
    }

    [Fact]
    public async Task Page_NeedsNothingFromElsewhereAndMakesNoMarkupOfWhatItShows()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        string page = await proxy.Client.GetStringAsync("/");
        Assert.DoesNotContain("://", page, StringComparison.Ordinal);
        Assert.DoesNotMatch("""(src|href|url\(|@import|srcset|action)\s*[=(]?\s*["'(]?//""", page);
        // One script and one style, both inside; no attribute that holds code or style.
        Assert.Single(Regex.Matches(page, "<script"));
        Assert.Single(Regex.Matches(page, "<style"));
        Assert.Equal("<link rel=\"icon\" href=\"data:,\">", Assert.Single(Regex.Matches(page, "<link[^>]*>")).Value);
        Assert.DoesNotMatch("""<[a-z][^>]*\s(on[a-z]+|style)\s*=""", page[..page.IndexOf("<script>", StringComparison.Ordinal)]);
        foreach (string banned in new[] { "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "sessionStorage", "document.cookie" })
        {
            Assert.DoesNotContain(banned, page, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task EveryPathTheScriptAsksFor_IsThere()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string script = Script().Match(await proxy.Client.GetStringAsync("/")).Groups[1].Value;
        // All of them stand in one table, and one function fetches.
        Assert.Single(Regex.Matches(script, @"\bfetch\("));
        Assert.DoesNotContain("XMLHttpRequest", script, StringComparison.Ordinal);
        string table = Regex.Match(script, @"const paths = \{(.*?)\};").Groups[1].Value;
        string[] paths = [.. Regex.Matches(script, "[\"'`](/[^\"'`]*)[\"'`]").Select(m => m.Groups[1].Value)];
        Assert.Equal(["/admin/status", "/admin/requests", "/admin/models", "/admin/usage?since=24h&by=hour", "/admin/usage?since=14d&by=day"], paths);
        Assert.All(paths, p => Assert.Contains($"\"{p}\"", table, StringComparison.Ordinal));
        foreach (string path in paths)
        {
            using HttpResponseMessage response = await proxy.Client.GetAsync(path);
            Assert.True(response.StatusCode == HttpStatusCode.OK, path);
            Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
            Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
            using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        }
    }

    [Theory]
    [InlineData("192.0.2.9", null, true, 401, true)]
    [InlineData("192.0.2.9", ClientKey, true, 401, true)]
    [InlineData("192.0.2.9", "wrong", true, 401, true)]
    [InlineData("192.0.2.9", AdminKey, true, 200, true)]
    [InlineData("::ffff:192.0.2.9", null, true, 401, true)]
    [InlineData("127.0.0.1", null, true, 200, true)]
    [InlineData("::1", "wrong", true, 200, true)]
    // No admin key exists: there is nothing to ask for, so not even the form is sent.
    [InlineData("192.0.2.9", null, false, 401, false)]
    [InlineData("127.0.0.1", null, false, 200, true)]
    public async Task Page_OpensToThisMachineOrAnAdminKey(string address, string? key, bool keys, int status, bool html)
    {
        ProxySnapshot snapshot = new() { Host = "0.0.0.0" };
        await using ProxyRuntime runtime = new(keys ? WithKeys(snapshot) : snapshot, NullLoggerFactory.Instance, TimeProvider.System, new Random(1));
        foreach (string path in new[] { "/", "/admin/status", "/admin/requests", "/admin/usage", "/admin/models" })
        {
            DefaultHttpContext http = new();
            using MemoryStream body = new();
            http.Request.Method = "GET";
            http.Request.Path = path;
            http.Request.Host = new HostString("192.0.2.1", 8143);
            http.Connection.RemoteIpAddress = IPAddress.Parse(address);
            http.Response.Body = body;
            if (key is not null) http.Request.Headers.Authorization = $"Bearer {key}";
            await runtime.Doors.Operations.RunAsync(http, path);
            Assert.Equal(status, http.Response.StatusCode);
            string text = Encoding.UTF8.GetString(body.ToArray());
            Assert.Equal(path == "/" && html, text.StartsWith("<!doctype html>", StringComparison.Ordinal));
            if (status == 401 && path != "/") Assert.Contains("open to this machine only", text, StringComparison.Ordinal);
            if (status == 401) Assert.DoesNotContain("uptimeSeconds\":", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Page_IsTheSameForEverybodyAndHoldsNoDataOfTheProxy()
    {
        await using RunningProxy bare = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        await using RunningProxy full = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [RunningProxy.Account("canary-account", new Uri("http://127.0.0.1:9/v1"))] }, WithKeys);
        string page = await full.Client.GetStringAsync("/");
        Assert.Equal(await bare.Client.GetStringAsync("/"), page);
        Assert.DoesNotContain("canary", page, StringComparison.Ordinal);
    }

    private static ProxySnapshot WithKeys(ProxySnapshot s) => s with { Clients = [new ClientSnapshot("alice", new Secret(ClientKey)), new ClientSnapshot("boss", new Secret(AdminKey), IsAdmin: true)] };

    private static string Hash(string text) => Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    [GeneratedRegex("<script>(.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Script();

    [GeneratedRegex("<style>(.*?)</style>", RegexOptions.Singleline)]
    private static partial Regex Style();
}
