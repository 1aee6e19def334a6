using System.Net;
using QwenProxy.Configuration;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Resilience;
using QwenProxy.Simulator;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>
/// The sixteen scenarios of the public Failover Bench catalogue (github.com/failoverbench/failoverbench, scenarios/catalogue.yaml), one test each,
/// under its number and title. A test passes where the catalogue says <c>pass</c>: the caller is rescued and every check holds, the advisory ones
/// too. The provider's words are the catalogue's. Where its faults last long (silence, a stall) the proxy's limits are short instead, and the
/// bounds are the catalogue's own. Each call is made in all three dialects.
/// </summary>
public sealed class FailoverBenchTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(500);
    private const string RateLimit = "status?code=429&error=rate_limit_exceeded&message=Rate%20limit%20reached%20for%20m.";
    private const string Overloaded = "status?code=503&error=overloaded&message=The%20engine%20is%20currently%20overloaded.%20Please%20try%20again%20later.";

    [Fact]
    public Task S01_RateLimitWithRetryAfter_IsObeyedAndRetried() => InEachDialectAsync($"sequence:{RateLimit}&retryAfter=2|healthy", null, (world, answer) =>
    {
        AssertRescued(answer);
        Assert.Equal(2, world.OnPrimary.Length);
        Assert.True(Gap(world.OnPrimary) >= TimeSpan.FromSeconds(1.8), $"{Gap(world.OnPrimary)}");
        Assert.True(answer.Took < TimeSpan.FromSeconds(20));
    });

    [Fact]
    public Task S02_RateLimitWithoutRetryAfterForEver_BacksOffAndGoesToTheFallback() => InEachDialectAsync(RateLimit, null, (world, answer) =>
    {
        AssertRescued(answer, BenchWorld.Fallback);
        Assert.InRange(world.OnPrimary.Length, 1, 4);
        Assert.True(answer.Took < TimeSpan.FromSeconds(40));
    });

    [Fact]
    public Task S03_ServerErrorOnce_IsRetriedOnTheSameModel() => InEachDialectAsync("sequence:status?code=500&error=server_error|healthy", null, (world, answer) =>
    {
        AssertRescued(answer);
        Assert.Equal(2, world.OnPrimary.Length);
        Assert.Empty(world.OnFallback);
    });

    [Fact]
    public Task S04_OverloadedForEver_GoesToTheFallbackWithinTheBudget() => InEachDialectAsync(Overloaded, null, (world, answer) =>
    {
        AssertRescued(answer, BenchWorld.Fallback);
        Assert.InRange(world.OnPrimary.Length, 1, 6);
        Assert.True(answer.Took < TimeSpan.FromSeconds(40));
    });

    [Fact]
    public Task S05_ResetBeforeHeaders_IsRetried() => InEachDialectAsync("sequence:reset-before-headers|healthy", null, (world, answer) =>
    {
        AssertRescued(answer);
        Assert.Equal(2, world.OnPrimary.Length);
    });

    [Fact]
    public Task S06_NoResponseAtAll_GoesToTheFallbackAfterOneTimeout() => InEachDialectAsync("silence", FirstTokenLimit, (world, answer) =>
    {
        AssertRescued(answer, BenchWorld.Fallback);
        Assert.Single(world.OnPrimary);
        Assert.True(answer.Took < TimeSpan.FromSeconds(100));
    });

    [Fact]
    public Task S07_SlowFirstToken_IsNotWaitedFor() => InEachDialectAsync("comments-only?every=200", FirstTokenLimit, (world, answer) =>
    {
        AssertRescued(answer, BenchWorld.Fallback);
        Assert.Single(world.OnPrimary);
        Assert.True(answer.Took < TimeSpan.FromSeconds(15));
    });

    [Theory]
    [InlineData("fin")]
    [InlineData("rst")]
    public Task S08_StreamCutMidAnswer_IsContinuedToTheWholeAnswer(string how) => InEachDialectAsync($"cut?events=40&how={how}", null, (world, answer) =>
    {
        AssertRescued(answer);
        Assert.Single(world.OnFallback);
        Assert.True(answer.Took < TimeSpan.FromSeconds(40));
    });

    [Fact]
    public Task S09_StreamStalls_IsFoundAndContinuedElsewhere() => InEachDialectAsync("stall?events=20", IdleLimit, async (world, answer) =>
    {
        AssertRescued(answer);
        // A second stall on the same model would cost the caller its full length again.
        Assert.Single(world.OnPrimary);
        Assert.True(answer.Took < TimeSpan.FromSeconds(45));
        await AssertAliveAsync(world);
    });

    [Fact]
    public Task S10_MalformedChunkInTheStream_LosesNothingOfTheAnswer() => InEachDialectAsync("broken-event?events=10", null, async (world, answer) =>
    {
        AssertRescued(answer);
        await AssertAliveAsync(world);
    });

    [Fact]
    public Task S11_StreamEndsWithoutDone_IsCompletedAtOnceWithUsage() => InEachDialectAsync("no-done", null, (world, answer) =>
    {
        AssertRescued(answer);
        Assert.Single(world.OnPrimary);
        Assert.True(answer.OutputTokens > 0);
        Assert.True(answer.Took < TimeSpan.FromSeconds(8));
    });

    [Fact]
    public Task S12_ContextLengthExceeded_GoesToTheFallbackAndNotTwiceToTheModel() => InEachDialectAsync(
        "status?code=400&error=context_length_exceeded&message=This%20model%27s%20maximum%20context%20length%20is%208192%20tokens.",
        null,
        (world, answer) =>
        {
            AssertRescued(answer, BenchWorld.Fallback);
            Assert.Single(world.OnPrimary);
        });

    [Fact]
    public Task S13_ContentFilterRejection_IsToldInTheProvidersWords() => InEachDialectAsync(
        "status?code=400&error=content_policy_violation&message=Your%20request%20was%20rejected%20as%20a%20result%20of%20our%20safety%20system.",
        null,
        (world, answer) =>
        {
            Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
            Assert.Contains("rejected as a result of our safety system", StreamText.Error(answer.Text)!.Value.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.Single(world.OnPrimary);
            Assert.Empty(world.OnFallback);
        });

    [Fact]
    public async Task S14_FallbackTargetRejectsPrefill_TheAnswerIsWholeAndTheRefusalHidden()
    {
        const string refusal = "status?code=400&error=invalid_prefill&message=This%20model%20does%20not%20support%20assistant%20message%20prefill.";
        await Task.WhenAll(Dialects.Select(async dialect =>
        {
            // A profile that believes in prefill for every model, in front of a provider whose fallback model does not.
            await using BenchWorld world = await BenchWorld.StartAsync(
                _ => "cut?events=40&how=fin",
                r => IsPrefill(r) ? refusal : "healthy",
                s => s with { Accounts = [s.Accounts[0] with { Profile = Profiles.ByName("vllm")! }] });
            BenchAnswer answer = await world.AskAsync(dialect);
            AssertRescued(answer);
            Assert.DoesNotContain("prefill", answer.Text, StringComparison.Ordinal);
            Assert.Equal([true, false], world.OnFallback.Select(IsPrefill));
        }));
    }

    [Fact]
    public async Task S15_PrimaryFlaps_TheCircuitOpensProbesAndReturns()
    {
        FakeClock clock = new();
        DateTimeOffset start = clock.GetUtcNow();
        DateTimeOffset healthyAt = start.AddSeconds(60);
        await using BenchWorld world = await BenchWorld.StartAsync(_ => clock.GetUtcNow() < healthyAt ? Overloaded : "healthy", _ => "healthy", time: clock);
        DateTimeOffset? backAt = null;
        for (int i = 0; i < 20; i++)
        {
            int before = world.OnPrimary.Length;
            BenchAnswer answer = await AdvanceUntilAsync(clock, world.AskAsync(Dialect.Chat));
            bool onFallback = answer.Model == BenchWorld.Fallback;
            AssertRescued(answer, onFallback ? BenchWorld.Fallback : null);
            if (clock.GetUtcNow() < healthyAt) Assert.True(onFallback);
            else if (!onFallback) backAt ??= clock.GetUtcNow();
            // Ten failures in a row open the circuit, which the third request's attempts come to; from then on at most one probe a request.
            Assert.InRange(world.OnPrimary.Length - before, 0, i < 3 ? 4 : 1);
            DateTimeOffset next = start.AddSeconds(4 * (i + 1));
            if (next > clock.GetUtcNow()) clock.Advance(next - clock.GetUtcNow());
        }

        Assert.NotNull(backAt);
        Assert.True(backAt - healthyAt <= TimeSpan.FromSeconds(30), $"{backAt - healthyAt}");
        Assert.DoesNotContain(world.Proxy.Runtime.Router.Pool.Export(clock.GetUtcNow()).Breakers, b => b.State != BreakerState.Closed);
        // The outage cost the provider the ten that opened it and one probe per fifteen seconds.
        Assert.InRange(world.OnPrimary.Count(r => r.Scenario == Overloaded), 10, 14);
    }

    [Fact]
    public Task S16_FailOverAccounting_NamesTheModelThatServedAndCountsOnlyItsTokens() => InEachDialectAsync(Overloaded, null, async (world, answer) =>
    {
        AssertRescued(answer, BenchWorld.Fallback);
        Assert.InRange(world.OnPrimary.Length, 1, 6);
        Assert.Single(world.OnFallback);
        BenchAnswer direct = await world.AskAsync(Dialect.Chat, BenchWorld.Fallback);
        Assert.Equal(direct.OutputTokens, answer.OutputTokens);
        string line = HangUpTests.RequestLines(world.Proxy)[0];
        Assert.Contains($"outputTokens={answer.OutputTokens}", line, StringComparison.Ordinal);
        Assert.Contains(BenchWorld.Fallback, line, StringComparison.Ordinal);
    });

    private static string[] Dialects => [Dialect.Chat, Dialect.Messages, Dialect.Responses];

    private static Task InEachDialectAsync(string fault, Func<ProxySnapshot, ProxySnapshot>? configure, Action<BenchWorld, BenchAnswer> check) =>
        InEachDialectAsync(fault, configure, (world, answer) =>
        {
            check(world, answer);
            return Task.CompletedTask;
        });

    private static Task InEachDialectAsync(string fault, Func<ProxySnapshot, ProxySnapshot>? configure, Func<BenchWorld, BenchAnswer, Task> check) => Task.WhenAll(Dialects.Select(async dialect =>
    {
        await using BenchWorld world = await BenchWorld.StartAsync(fault, configure);
        await check(world, await world.AskAsync(dialect));
        Assert.Equal(0, world.Proxy.Runtime.Router.Pool.LeasesOut);
    }));

    /// <summary>The caller has the complete answer; and, where the fallback gave all of it, the fallback's name and its usage.</summary>
    private static void AssertRescued(BenchAnswer answer, string? model = null)
    {
        Assert.True(answer.IsSuccess, answer.Text);
        Assert.Null(StreamText.Error(answer.Text));
        Assert.Equal(BenchWorld.Wanted, answer.Content);
        if (model is null) return;
        Assert.Equal(model, answer.Model);
        Assert.True(answer.OutputTokens > 0);
    }

    private static async Task AssertAliveAsync(BenchWorld world)
    {
        BenchAnswer after = await world.AskAsync(Dialect.Chat, BenchWorld.Fallback);
        AssertRescued(after, BenchWorld.Fallback);
        Assert.True(after.Took < TimeSpan.FromSeconds(10));
    }

    private static bool IsPrefill(RecordedRequest request) => request.BodyText.Contains("continue_final_message", StringComparison.Ordinal);

    private static TimeSpan Gap(RecordedRequest[] attempts) => attempts[1].At - attempts[0].At;

    private static ProxySnapshot FirstTokenLimit(ProxySnapshot s) => s with { Timeouts = s.Timeouts with { FirstToken = Short } };

    private static ProxySnapshot IdleLimit(ProxySnapshot s) => s with { Timeouts = s.Timeouts with { Idle = Short, FirstToken = TimeSpan.FromSeconds(30) } };

    /// <summary>Lets the proxy's clock go on in small steps while a call is under way, so that its waits between attempts pass.</summary>
    private static async Task<BenchAnswer> AdvanceUntilAsync(FakeClock clock, Task<BenchAnswer> call)
    {
        while (await Task.WhenAny(call, Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System)) != call) clock.Advance(TimeSpan.FromMilliseconds(10));
        return await call;
    }
}
