using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Resilience;
using QwenProxy.Hosting;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Hosting;

public sealed class StateStoreTests : IDisposable
{
    private const string Request = """{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task OpenBreaker_StaysOpenAcrossARestart()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(500, """{"error":{"message":"broken","code":"x"}}"""));
        await using (RunningProxy first = await StartAsync(upstream.BaseUrl))
        {
            using HttpResponseMessage failed = await first.PostAsync(Request);
            Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        }

        int asked = upstream.Requests.Count;
        await using RunningProxy second = await StartAsync(upstream.BaseUrl);
        using HttpResponseMessage refused = await second.PostAsync(Request);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Contains("circuit_open", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(asked, upstream.Requests.Count);
    }

    [Fact]
    public async Task LongCooldown_SurvivesARestart()
    {
        string body = """{"error":{"message":"Your quota is used up.","code":"insufficient_quota"}}""";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(429, body, "Retry-After: 7200\r\n"));
        await using (RunningProxy first = await StartAsync(upstream.BaseUrl))
        {
            using HttpResponseMessage limited = await first.PostAsync(Request);
            Assert.Equal(HttpStatusCode.TooManyRequests, limited.StatusCode);
        }

        int asked = upstream.Requests.Count;
        await using RunningProxy second = await StartAsync(upstream.BaseUrl);
        using HttpResponseMessage waiting = await second.PostAsync(Request);
        Assert.Equal(HttpStatusCode.TooManyRequests, waiting.StatusCode);
        Assert.InRange(waiting.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 6000, 7200);
        Assert.Equal(asked, upstream.Requests.Count);
    }

    [Fact]
    public async Task WhatStreamsTaught_SurvivesARestart()
    {
        await using (RunningProxy first = await StartAsync(new Uri("http://127.0.0.1:9/v1")))
        {
            for (int i = 0; i < 3; i++) first.Runtime.Habits.Stutter.Record("h", "m", StutterOutcome.Proven);
            for (int i = 0; i < 2; i++) first.Runtime.Habits.Thinking.Record("up", "m", LoneClose.Seen);
        }

        await using RunningProxy second = await StartAsync(new Uri("http://127.0.0.1:9/v1"));
        Assert.Equal(StutterStanding.Seen, second.Runtime.Habits.Stutter.StandingOf("h", "m"));
        Assert.True(second.Runtime.Habits.Thinking.IsLearned("up", "m"));
        Assert.False(second.Runtime.Habits.Thinking.IsLearned("other", "m"));
    }

    /// <summary>Word for word what 0.1 left in its folder; of the thinking it knew nothing yet.</summary>
    [Fact]
    public async Task FilesOf01_AreTakenOver()
    {
        string later = TimeProvider.System.GetUtcNow().AddHours(2).ToString("o");
        Directory.CreateDirectory(_folder.Of("state"));
        await File.WriteAllTextAsync(_folder.Of("state", "pool.json"), $$"""
            {
              "breakers": [
                {
                  "account": "up",
                  "model": "n",
                  "state": "Open",
                  "failures": 10,
                  "nextProbe": "{{later}}"
                }
              ],
              "cooldowns": [
                {
                  "account": "up",
                  "kind": "QuotaExhausted",
                  "until": "{{later}}",
                  "hard": true,
                  "status": 429,
                  "code": "insufficient_quota",
                  "message": "Your quota is used up."
                }
              ]
            }
            """);
        await File.WriteAllTextAsync(_folder.Of("state", "stutter-prior.json"), """
            {
              "version": 1,
              "upstreams": [
                {
                  "host": "coding-intl.dashscope.aliyuncs.com",
                  "model": "qwen3.7-max",
                  "clean": 4,
                  "proven": 3
                }
              ]
            }
            """);
        await using RunningProxy proxy = await StartAsync(new Uri("http://127.0.0.1:9/v1"));
        Assert.Empty(proxy.Log.At(LogLevel.Warning));
        Assert.Equal(StutterStanding.Seen, proxy.Runtime.Habits.Stutter.StandingOf("coding-intl.dashscope.aliyuncs.com", "qwen3.7-max"));
        PoolRecord pool = proxy.Runtime.Router.Pool.Export(proxy.Runtime.Instruments.Time.GetUtcNow());
        BreakerRecord breaker = Assert.Single(pool.Breakers);
        Assert.Equal(("up", "n", BreakerState.Open, 10), (breaker.Account, breaker.Model, breaker.State, breaker.Failures));
        using HttpResponseMessage refused = await proxy.PostAsync(Request);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Contains("Your quota is used up.", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 6000, 7200);
    }

    [Fact]
    public async Task Files_AreTheOwnersOnly()
    {
        await using (RunningProxy proxy = await StartAsync(new Uri("http://127.0.0.1:9/v1"))) proxy.Runtime.Router.Pool.Isolate("up");
        string path = _folder.Of("state", "pool.json");
        using JsonDocument written = JsonDocument.Parse(await File.ReadAllBytesAsync(path));
        Assert.Equal("Isolated", written.RootElement.GetProperty("breakers")[0].GetProperty("state").GetString());
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Empty(Directory.GetFiles(_folder.Of("state"), "*.tmp"));
    }

    [Fact]
    public async Task NoDataFolder_NothingIsWritten()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        proxy.Runtime.Router.Pool.Isolate("up");
        await proxy.Server.StopAsync(TimeSpan.Zero);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task RuntimeThatNeverServed_WritesNothing()
    {
        ProxySnapshot snapshot = new() { Storage = new StorageSnapshot { DataFolder = _folder.Path } };
        using ILoggerFactory loggers = LoggerFactory.Create(_ => { });
        await using (ProxyRuntime runtime = new(snapshot, loggers, TimeProvider.System, new Random(1))) runtime.Router.Pool.Isolate("up");
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("{\"breakers\":[{\"account\":\"up\"")]
    [InlineData("")]
    [InlineData("[1,2]")]
    public async Task DamagedFile_IsToldOnceAndReplaced(string damaged)
    {
        Directory.CreateDirectory(_folder.Of("state"));
        await File.WriteAllTextAsync(_folder.Of("state", "pool.json"), damaged);
        await using (RunningProxy proxy = await StartAsync(new Uri("http://127.0.0.1:9/v1")))
        {
            Assert.Contains("is damaged", Assert.Single(proxy.Log.At(LogLevel.Warning)), StringComparison.Ordinal);
        }

        using JsonDocument replaced = JsonDocument.Parse(await File.ReadAllBytesAsync(_folder.Of("state", "pool.json")));
        Assert.Equal(0, replaced.RootElement.GetProperty("breakers").GetArrayLength());
    }

    [Fact]
    public async Task FolderThatCannotBeWritten_IsToldOnce()
    {
        // A file where the folder should be stops everybody, also the superuser whom no file mode stops.
        await File.WriteAllTextAsync(_folder.Of("state"), "");
        LogBook log = new();
        using ILoggerFactory loggers = LoggerFactory.Create(b => b.AddProvider(log));
        FakeClock clock = new();
        int value = 0;
        StateFile file = new("a.json", _ => true, output => output.Write(Encoding.UTF8.GetBytes($"{Interlocked.Increment(ref value)}")));
        await using (StateStore store = new(_folder.Of("state"), clock, loggers.CreateLogger("t"), file))
        {
            store.Load();
            store.Start();
            for (int i = 0; i < 5; i++) clock.Advance(StateStore.Interval);
        }

        Assert.Single(log.At(LogLevel.Warning), line => line.StartsWith("State cannot be saved", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Change_IsWrittenWithinTheInterval_AndOnlyThen()
    {
        FakeClock clock = new();
        string text = "1";
        StateFile file = new("a.json", _ => true, output => output.Write(Encoding.UTF8.GetBytes(text)));
        using ILoggerFactory loggers = LoggerFactory.Create(_ => { });
        await using StateStore store = new(_folder.Path, clock, loggers.CreateLogger("t"), file);
        store.Load();
        store.Start();
        clock.Advance(StateStore.Interval);
        Assert.False(File.Exists(_folder.Of("a.json")));
        text = "2";
        while (!File.Exists(_folder.Of("a.json")))
        {
            clock.Advance(StateStore.Interval);
            await Task.Yield();
        }

        Assert.Equal("2", await File.ReadAllTextAsync(_folder.Of("a.json")));
    }

    [Fact]
    public async Task ReloadOfBreakerSettings_KeepsWhatTheBreakersSaw()
    {
        await using RunningProxy proxy = await StartAsync(new Uri("http://127.0.0.1:9/v1"), failures: 3);
        using (HttpResponseMessage failed = await proxy.PostAsync(Request)) Assert.Equal(HttpStatusCode.BadGateway, failed.StatusCode);
        DateTimeOffset now = proxy.Runtime.Instruments.Time.GetUtcNow();
        // Of a name that nobody has served yet nothing is shown until its breaker opens.
        Assert.Empty(proxy.Runtime.Router.Pool.Export(now).Breakers);
        proxy.Runtime.Apply(proxy.Runtime.Snapshot with { Breaker = new BreakerSnapshot(2, 3600) });
        using (HttpResponseMessage failed = await proxy.PostAsync(Request)) Assert.Equal(HttpStatusCode.BadGateway, failed.StatusCode);
        BreakerRecord breaker = Assert.Single(proxy.Runtime.Router.Pool.Export(now).Breakers);
        Assert.Equal(BreakerState.Open, breaker.State);
        Assert.InRange((breaker.NextProbe!.Value - now).TotalSeconds, 3000, 3700);
    }

    private Task<RunningProxy> StartAsync(Uri upstream, int failures = 1) => RunningProxy.StartAsync(upstream, s => s with
    {
        Storage = new StorageSnapshot { DataFolder = _folder.Path },
        Retry = new RetrySnapshot(1),
        Breaker = new BreakerSnapshot(failures, 3600),
    });
}
