using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Hosting;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Dashboard;

/// <summary>The page at <c>/</c> and its files: who gets them, what they may do, and that they ask for nothing that is not there. tests/browser uses it.</summary>
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
        Assert.True(response.Content.Headers.ContentLength > 1000);
        string page = await response.Content.ReadAsStringAsync();
        if (method == "HEAD") Assert.Empty(page);
        else Assert.StartsWith("<!doctype html>", page, StringComparison.Ordinal);
        using HttpResponseMessage post = await proxy.Client.PostAsync("/", null);
        Assert.Equal(HttpStatusCode.NotFound, post.StatusCode);
    }

    [Fact]
    public async Task Files_AreSentOnceAndThenKnownByTheirTag()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        foreach ((string path, string type) in new[] { ("/", "text/html"), ("/page/main.js", "text/javascript"), ("/page/style.css", "text/css") })
        {
            using HttpResponseMessage first = await proxy.Client.GetAsync(path);
            Assert.Equal(type, first.Content.Headers.ContentType?.MediaType);
            Assert.Equal("no-cache", first.Headers.CacheControl?.ToString());
            using HttpRequestMessage again = new(HttpMethod.Get, path);
            again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
            using HttpResponseMessage second = await proxy.Client.SendAsync(again);
            Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
            Assert.Empty(await second.Content.ReadAsByteArrayAsync());
            Assert.Equal(first.Headers.ETag, second.Headers.ETag);
        }

        using HttpResponseMessage none = await proxy.Client.GetAsync("/page/index.html");
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    [Fact]
    public async Task Policy_AllowsThePagesOwnFilesOnly()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        foreach (string path in await FilesAsync(proxy))
        {
            using HttpResponseMessage response = await proxy.Client.GetAsync(path);
            Dictionary<string, string> policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy")).Split("; ").Select(d => d.Split(' ', 2)).ToDictionary(d => d[0], d => d[1]);
            Assert.Equal("'none'", policy["default-src"]);
            foreach (string own in new[] { "script-src", "style-src", "connect-src" }) Assert.Equal("'self'", policy[own]);
            foreach (string closed in new[] { "base-uri", "form-action", "frame-ancestors", "trusted-types" }) Assert.Equal("'none'", policy[closed]);
            Assert.Equal("'script'", policy["require-trusted-types-for"]);
            Assert.DoesNotContain(policy.Values, v => v.Contains("unsafe", StringComparison.Ordinal) || v.Contains('*', StringComparison.Ordinal));
            Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("DENY", Assert.Single(response.Headers.GetValues("X-Frame-Options")));
            Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
        }
    }

    [Fact]
    public async Task Page_NeedsNothingFromElsewhereAndMakesNoMarkupOfWhatItShows()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        string[] files = await FilesAsync(proxy);
        Assert.InRange(files.Length, 8, 20);
        foreach (string path in files)
        {
            string text = await proxy.Client.GetStringAsync(path);
            Assert.InRange(text.Count(c => c == '\n'), 1, 300);
            // The one address in it is SVG's name, which nobody asks.
            Assert.DoesNotContain("://", text.Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal), StringComparison.Ordinal);
            foreach (string banned in new[] { "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "sessionStorage", "document.cookie", "style=" })
            {
                Assert.DoesNotContain(banned, text, StringComparison.Ordinal);
            }
        }

        string page = await proxy.Client.GetStringAsync("/");
        Assert.Equal(["<link rel=\"icon\" href=\"data:,\">", "<link rel=\"stylesheet\" href=\"/page/style.css\">"], Regex.Matches(page, "<link[^>]*>").Select(m => m.Value));
        Assert.Equal("<script type=\"module\" src=\"/page/main.js\">", Assert.Single(Regex.Matches(page, "<script[^>]*>")).Value);
        Assert.DoesNotMatch("""<[a-z][^>]*\s(on[a-z]+|style)\s*=""", page);
    }

    [Fact]
    public async Task EveryPathTheModulesReadFrom_IsThere()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        HashSet<string> paths = [];
        foreach (string file in await FilesAsync(proxy))
        {
            foreach (Match path in AdminPath().Matches(await proxy.Client.GetStringAsync(file))) paths.Add(path.Value);
        }

        Assert.Superset(new HashSet<string> { "/admin/session", "/admin/events", "/admin/requests", "/admin/usage", "/admin/latency", "/admin/models", "/admin/keys", "/admin/accounts" }, paths);
        foreach (string path in paths.Where(p => p != "/admin/accounts"))
        {
            using HttpResponseMessage response = await proxy.Client.GetAsync(path, HttpCompletionOption.ResponseHeadersRead);
            Assert.True(response.StatusCode == HttpStatusCode.OK, path);
            Assert.Equal(path == "/admin/events" ? "text/event-stream" : "application/json", response.Content.Headers.ContentType?.MediaType);
            Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
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
        foreach (string path in new[] { "/", "/page/main.js", "/admin/status", "/admin/requests", "/admin/usage", "/admin/latency", "/admin/keys", "/admin/models", "/admin/session" })
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
            // The files hold nothing, and the page that asks for the key is made of them.
            Assert.Equal(path == "/page/main.js" && html ? 200 : status, http.Response.StatusCode);
            string text = Encoding.UTF8.GetString(body.ToArray());
            Assert.Equal(path == "/" && html, text.StartsWith("<!doctype html>", StringComparison.Ordinal));
            if (status == 401 && path.StartsWith("/admin", StringComparison.Ordinal)) Assert.Contains("open to this machine only", text, StringComparison.Ordinal);
            if (status == 401) Assert.DoesNotContain("uptimeSeconds\":", text, StringComparison.Ordinal);
        }
    }

    private static ProxySnapshot WithKeys(ProxySnapshot s) => s with { Clients = [new ClientSnapshot("alice", new Secret(ClientKey)), new ClientSnapshot("boss", new Secret(AdminKey), IsAdmin: true)] };

    /// <summary>The page and all that its files name.</summary>
    private static async Task<string[]> FilesAsync(RunningProxy proxy)
    {
        List<string> files = ["/"];
        for (int i = 0; i < files.Count; i++)
        {
            foreach (Match name in FileName().Matches(await proxy.Client.GetStringAsync(files[i])))
            {
                string path = "/page/" + name.Groups[1].Value;
                if (!files.Contains(path)) files.Add(path);
            }
        }

        return [.. files];
    }

    [GeneratedRegex("""["'](?:/page/|\./)([a-z]+\.(?:js|css))["']""")]
    private static partial Regex FileName();

    [GeneratedRegex("/admin/[a-z]+")]
    private static partial Regex AdminPath();
}
