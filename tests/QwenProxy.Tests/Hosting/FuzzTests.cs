using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Endpoints;
using QwenProxy.Tests.Proxying;
using QwenProxy.Tests.Support;
using QwenProxy.Upstreams;

namespace QwenProxy.Tests.Hosting;

/// <summary>
/// Requests and responses that nobody in his senses sends, from a seed: the proxy never fails by a fault of its own, goes on serving, and says no
/// secret. QWEN_FUZZ_SEED and QWEN_FUZZ_SECONDS widen the search.
/// </summary>
public sealed class FuzzTests
{
    private const string Key = "sk-canary-fuzz-0123456789";
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("QWEN_FUZZ_SEED"), CultureInfo.InvariantCulture, out int seed) ? seed : 20261129;
    private static readonly int Seconds = int.TryParse(Environment.GetEnvironmentVariable("QWEN_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int seconds) ? seconds : 12;

    [Fact]
    public async Task RandomRequestsAndUpstreams_NeverMakeAFaultOfTheProxyAndTellNoSecret()
    {
        ConcurrentDictionary<int, string> sent = new();
        await using RawUpstream upstream = new(async exchange =>
        {
            // The request says which case it is; what came of the header on its way here is part of the search.
            int number = int.TryParse(exchange.Header("X-Title"), CultureInfo.InvariantCulture, out int n) ? n : 0;
            byte[] answer = FuzzCase.Of(Seed, number).Response(Key);
            sent[number] = Encoding.Latin1.GetString(answer, 0, Math.Min(answer.Length, 12));
            await exchange.SendAsync(answer);
        });
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { ApiKey = new Secret(Key) };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [account] }, s => ErrorTests.OneAttempt(s) with
        {
            Limits = s.Limits with { BodyBytes = 1024 * 1024 },
            Timeouts = s.Timeouts with { FirstToken = TimeSpan.FromSeconds(5), Idle = TimeSpan.FromSeconds(5) },
        });
        long begin = Stopwatch.GetTimestamp();
        int next = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            while (Stopwatch.GetElapsedTime(begin) < TimeSpan.FromSeconds(Seconds))
            {
                int number = Interlocked.Increment(ref next);
                FuzzCase one = FuzzCase.Of(Seed, number);
                RawResponse response = await AskAsync(proxy, one.Request(number));
                // What is forwarded and succeeds is passed on as it came, like a model's own words.
                bool isForwarded = response.Head.Contains(" 20", StringComparison.Ordinal) && !one.IsChat(number);
                string seen = isForwarded ? response.Head : response.Head + response.Body;
                // A 500 is upstream's own, passed on, or a fault.
                bool fails = response.Head.StartsWith("HTTP/1.1 500", StringComparison.Ordinal) && sent.GetValueOrDefault(number) != "HTTP/1.1 500";
                Assert.False(fails, $"seed {Seed}, case {number}, upstream said {sent.GetValueOrDefault(number) ?? "nothing"}: {response.Head}\n{response.Body}");
                Assert.False(seen.Contains(Key, StringComparison.OrdinalIgnoreCase), $"seed {Seed}, case {number} tells the key: {seen}");
            }
        }));

        Assert.True(next > 50, $"Only {next} cases were tried.");
        Assert.DoesNotContain(proxy.Log.Lines, l => l.Contains("fault of this proxy", StringComparison.Ordinal) || l.Contains("unhandled exception", StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain(proxy.Log.Lines, l => l.Contains(Key, StringComparison.OrdinalIgnoreCase));
        Assert.Equal(HttpStatusCode.OK, (await proxy.Client.GetAsync("/healthz")).StatusCode);
        await Until.TrueAsync(() => proxy.Runtime.Router.Pool.LeasesOut == 0 && proxy.Runtime.Drain.Active == 0, TimeSpan.FromSeconds(60));
    }

    /// <summary>Without sockets, so that there can be many: the guard, what reads upstream's failures, and what cleans texts.</summary>
    [Fact]
    public async Task HundredThousandHeadsAndFailures_AreReadWithoutAFault()
    {
        Random random = new(Seed);
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), s => s with { AllowedOrigins = ["https://app.example"] });
        SecretWords secrets = new([Key]);
        for (int i = 0; i < 100_000; i++)
        {
            DefaultHttpContext http = new();
            http.Response.Body = Stream.Null;
            http.Features.Get<IHttpRequestFeature>()!.RawTarget = FuzzCase.Target(random);
            http.Request.Method = FuzzCase.Pick(random, "GET", "POST", "OPTIONS", "TRACE", "HEAD", "BREW");
            http.Request.Path = "/" + FuzzCase.Pick(random, "v1/models", "v1/messages", "admin/status", "", "\u0000", "v1/\u202e");
            http.Request.Headers.Host = FuzzCase.Pick(random, "localhost", "127.0.0.1:1", "evil.example", "[::1]", "", "]", "a:b:c", FuzzCase.Noise(random, 20));
            if (random.Next(2) == 0) http.Request.Headers.Origin = FuzzCase.Pick(random, "null", "https://app.example", "http://localhost", "://", FuzzCase.Noise(random, 20));
            if (random.Next(4) == 0) http.Request.Headers.AccessControlRequestHeaders = FuzzCase.Noise(random, 30);
            if (proxy.Runtime.Doors.Guard.Stop(http) is { } stopped) await stopped;
            Assert.InRange(http.Response.StatusCode, 200, 499);

            byte[] body = Encoding.UTF8.GetBytes(FuzzCase.Failure(random, Key));
            if (random.Next(3) == 0) body = body[..random.Next(body.Length + 1)];
            ProxyError error = secrets.Hide(UpstreamErrorReader.FromResponse(random.Next(100, 1000), new UpstreamHeaders(FuzzCase.Noise(random, 8)), body, "m", DateTimeOffset.UnixEpoch));
            Assert.InRange(error.Status, 400, 599);
            Assert.DoesNotContain(Key, $"{error.Message} {error.Code} {error.Type} {error.Param} {error.RequestId}", StringComparison.OrdinalIgnoreCase);
            Assert.True(HeaderText.Clean(FuzzCase.Noise(random, 40)).All(c => c is '\t' or (>= ' ' and <= '~')));
            Assert.True(HeaderText.Encode(FuzzCase.Noise(random, 40)).All(c => c is '\t' or (>= ' ' and <= '~')));
            _ = RawTarget.HasDotSegments(FuzzCase.Noise(random, 40));
        }
    }

    private static async Task<RawResponse> AskAsync(RunningProxy proxy, byte[] request)
    {
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        try
        {
            await client.SendAsync(request);
            client.EndSending();
            return await client.ReadToEndAsync();
        }
        catch (System.Net.Sockets.SocketException)
        {
            // The proxy has said no and hung up before all was sent.
            return new RawResponse("", "", true, false);
        }
    }
}
