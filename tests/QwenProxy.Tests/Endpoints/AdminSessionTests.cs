using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Endpoints;
using QwenProxy.Hosting;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Endpoints;

/// <summary>Signing in to the page from another machine, and what its cookie is worth.</summary>
public sealed class AdminSessionTests : IAsyncDisposable
{
    private const string AdminKey = "sk-admin-canary";
    private const string Elsewhere = "198.51.100.7";

    private readonly FakeClock _clock = new();
    private readonly ProxyRuntime _runtime;

    public AdminSessionTests() => _runtime = new ProxyRuntime(Snapshot(), NullLoggerFactory.Instance, _clock, new Random(1));

    public ValueTask DisposeAsync() => _runtime.DisposeAsync();

    [Fact]
    public async Task Key_OpensASessionWithoutBeingInIt()
    {
        HttpResponse signedIn = await SignInAsync(AdminKey);
        Assert.Equal(200, signedIn.StatusCode);
        string cookie = Assert.Single(signedIn.Headers.SetCookie)!;
        Assert.DoesNotContain(AdminKey, cookie, StringComparison.Ordinal);
        foreach (string part in new[] { "qwen_proxy_8143=", "httponly", "samesite=strict", "path=/", "max-age=43200" }) Assert.Contains(part, cookie, StringComparison.OrdinalIgnoreCase);
        // Over plain HTTP a browser would drop a cookie that says so.
        Assert.DoesNotContain("secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(200, (await AskAsync("GET", "/admin/status", Value(signedIn))).StatusCode);
        Assert.Equal(401, (await AskAsync("GET", "/admin/status", "qwen_proxy_8143=" + new string('0', 64))).StatusCode);
    }

    [Fact]
    public async Task BehindAServerWithTls_TheCookieIsSecure()
    {
        HttpResponse signedIn = await SignInAsync(AdminKey, http => http.Request.Headers["X-Forwarded-Proto"] = "https");
        Assert.Contains("secure", Assert.Single(signedIn.Headers.SetCookie), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Cookie_IsWorthNothingElsewhereLaterOrWithoutItsKey()
    {
        string cookie = Value(await SignInAsync(AdminKey));
        Assert.Equal(401, (await AskAsync("GET", "/admin/status", cookie, http => http.Request.Host = new HostString("192.0.2.2", 8143))).StatusCode);
        _runtime.Apply(Snapshot("another-key"));
        Assert.Equal(401, (await AskAsync("GET", "/admin/status", cookie)).StatusCode);
        _runtime.Apply(Snapshot());
        Assert.Equal(200, (await AskAsync("GET", "/admin/status", cookie)).StatusCode);
        _clock.Advance(AdminSessions.Lifetime);
        Assert.Equal(401, (await AskAsync("GET", "/admin/status", cookie)).StatusCode);
    }

    [Fact]
    public async Task SignOut_EndsTheSessionForEverybodyWhoHasItsCookie()
    {
        string cookie = Value(await SignInAsync(AdminKey));
        HttpResponse over = await AskAsync("DELETE", "/admin/session", cookie, Own);
        Assert.Equal(200, over.StatusCode);
        Assert.Contains("max-age=0", Assert.Single(over.Headers.SetCookie), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(401, (await AskAsync("GET", "/admin/status", cookie)).StatusCode);
    }

    /// <summary>What a cookie alone may not do is what a foreign page could make a browser do.</summary>
    [Fact]
    public async Task Change_ByCookieMustSayWhichPageItComesFrom()
    {
        string cookie = Value(await SignInAsync(AdminKey));
        Assert.Equal(403, (await AskAsync("POST", "/admin/accounts/up/isolate", cookie)).StatusCode);
        Assert.Equal(200, (await AskAsync("POST", "/admin/accounts/up/isolate", cookie, Own)).StatusCode);
        Assert.Equal(200, (await AskAsync("POST", "/admin/accounts/up/resume", cookie, http => http.Request.Headers["Sec-Fetch-Site"] = "same-origin")).StatusCode);
        // Whoever shows the key itself is no browser that was made to.
        Assert.Equal(200, (await AskAsync("POST", "/admin/accounts/up/reset", null, http => http.Request.Headers.Authorization = $"Bearer {AdminKey}")).StatusCode);
    }

    [Fact]
    public async Task WrongKeys_CloseTheDoorForAMinuteForThatAddressOnly()
    {
        for (int i = 0; i < KeyTries.Most - 1; i++) Assert.Equal(401, (await SignInAsync($"wrong-{i}")).StatusCode);
        // Shown with a request is tried, too.
        Assert.Equal(401, (await AskAsync("GET", "/admin/status", null, http => http.Request.Headers.Authorization = "Bearer wrong")).StatusCode);
        HttpResponse closed = await SignInAsync(AdminKey);
        Assert.Equal(429, closed.StatusCode);
        Assert.Equal("60", closed.Headers.RetryAfter);
        Assert.Equal(429, (await AskAsync("GET", "/admin/status", null, http => http.Request.Headers.Authorization = $"Bearer {AdminKey}")).StatusCode);
        Assert.Equal(200, (await SignInAsync(AdminKey, http => http.Connection.RemoteIpAddress = IPAddress.Parse("198.51.100.8"))).StatusCode);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(200, (await SignInAsync(AdminKey)).StatusCode);
    }

    [Fact]
    public async Task OneIPv6Network_IsOneAddress()
    {
        for (int i = 0; i < KeyTries.Most; i++) await SignInAsync("wrong", http => http.Connection.RemoteIpAddress = IPAddress.Parse($"2001:db8:1:2::{i + 1}"));
        Assert.Equal(429, (await SignInAsync(AdminKey, http => http.Connection.RemoteIpAddress = IPAddress.Parse("2001:db8:1:2:aaaa::1"))).StatusCode);
        Assert.Equal(200, (await SignInAsync(AdminKey, http => http.Connection.RemoteIpAddress = IPAddress.Parse("2001:db8:1:3::1"))).StatusCode);
    }

    [Theory]
    [InlineData("text/plain", "{\"key\":\"" + AdminKey + "\"}", 415)]
    [InlineData("application/x-www-form-urlencoded", "key=" + AdminKey, 415)]
    [InlineData("application/json", "[]", 400)]
    [InlineData("application/json", "{", 400)]
    [InlineData("application/json", "{}", 401)]
    public async Task SignIn_TakesAJsonObjectOnly(string type, string body, int status) => Assert.Equal(status, (await AskAsync("POST", "/admin/session", null, http => Send(http, type, body))).StatusCode);

    private static ProxySnapshot Snapshot(string key = AdminKey) => new()
    {
        Host = "0.0.0.0",
        Accounts = [new AccountSnapshot { Name = "up", BaseUrl = new Uri("http://127.0.0.1:9/v1"), Profile = Core.Catalogue.Profiles.ByName("generic")! }],
        Clients = [new ClientSnapshot("alice", new Secret("sk-plain")), new ClientSnapshot("boss", new Secret(key), IsAdmin: true)],
    };

    private static void Own(HttpContext http) => http.Request.Headers.Origin = "http://192.0.2.1:8143";

    private static string Value(HttpResponse response) => Assert.Single(response.Headers.SetCookie)!.Split(';')[0];

    private static void Send(HttpContext http, string type, string body)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        http.Request.Body = new MemoryStream(bytes);
        http.Request.ContentType = type;
        http.Request.ContentLength = bytes.Length;
    }

    private Task<HttpResponse> SignInAsync(string key, Action<HttpContext>? more = null) => AskAsync("POST", "/admin/session", null, http =>
    {
        Send(http, "application/json", $"{{\"key\":\"{key}\"}}");
        more?.Invoke(http);
    });

    private async Task<HttpResponse> AskAsync(string method, string path, string? cookie, Action<HttpContext>? more = null)
    {
        DefaultHttpContext http = new();
        http.Request.Method = method;
        http.Request.Path = path;
        http.Request.Host = new HostString("192.0.2.1", 8143);
        http.Connection.RemoteIpAddress = IPAddress.Parse(Elsewhere);
        http.Response.Body = new MemoryStream();
        if (cookie is not null) http.Request.Headers.Cookie = cookie;
        more?.Invoke(http);
        await _runtime.Doors.Operations.RunAsync(http, path);
        return http.Response;
    }
}
