using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Resilience;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Fleet;

/// <summary>What one replica finds out about an account, and when the others know.</summary>
public sealed class FleetStateTests(PostgresServer postgres)
{
    /// <summary>As promised; on a quiet machine it is a part of a second.</summary>
    private static readonly TimeSpan s_known = TimeSpan.FromSeconds(6);

    [Fact]
    public async Task KeyThatOneReplicaFindsRefused_IsLeftAloneByAllUntilItIsMended()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(401, """{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"""));
        await using RawUpstream other = RawUpstream.Always(FleetWorld.Answer(20));
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 3, new ProxySnapshot { Accounts = [RunningProxy.Account("bad", upstream.BaseUrl), RunningProxy.Account("good", other.BaseUrl, priority: 1)] });
        using HttpResponseMessage first = await FleetWorld.AskAsync(fleet.Replicas[0]);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        await Until.TrueAsync(() => fleet.Replicas.All(r => Cooldowns(r) == 1), s_known);
        foreach (RunningProxy replica in fleet.Replicas) (await FleetWorld.AskAsync(replica)).Dispose();
        Assert.Single(upstream.Requests);

        using HttpResponseMessage reset = await fleet.Replicas[2].Client.PostAsync(new Uri("/admin/accounts/bad/reset", UriKind.Relative), null, TestContext.Current.CancellationToken);
        await Until.TrueAsync(() => fleet.Replicas.All(r => Cooldowns(r) == 0), s_known);
    }

    [Fact]
    public async Task AccountThatIsSwitchedOff_IsOffEverywhereAlsoForAReplicaThatMissedTheNotice()
    {
        await using RawUpstream upstream = RawUpstream.Always(FleetWorld.Answer(20));
        ProxySnapshot snapshot = new() { Accounts = [RunningProxy.Account("up", upstream.BaseUrl)] };
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 2, snapshot);
        fleet.Links[1].Cut();
        using HttpResponseMessage off = await fleet.Replicas[0].Client.PostAsync(new Uri("/admin/accounts/up/isolate", UriKind.Relative), null, TestContext.Current.CancellationToken);
        using (HttpResponseMessage unaware = await FleetWorld.AskAsync(fleet.Replicas[1])) Assert.Equal(HttpStatusCode.OK, unaware.StatusCode);
        await Until.TrueAsync(async () => await fleet.NumberAsync("SELECT count(*) FROM qwen_proxy.account_states") == 1, s_known);
        fleet.Links[1].Mend();
        await Until.TrueAsync(() => !fleet.Replicas[1].Runtime.Router.Pool.TryLease("up", "m", TimeProvider.System.GetUtcNow(), out _), s_known);
        // One that comes later knows it before it serves anybody.
        RunningProxy late = await fleet.JoinAsync(snapshot);
        await Until.TrueAsync(() => !late.Runtime.Router.Pool.TryLease("up", "m", TimeProvider.System.GetUtcNow(), out _), s_known);
    }

    [Fact]
    public async Task BrokenAccount_IsProbedOnceIntervalInTheWholeFleetAndServesAllOnceItIsWell()
    {
        bool isBroken = true;
        await using RawUpstream upstream = new(exchange => exchange.SendAsync(Volatile.Read(ref isBroken) ? RawUpstream.Json(500, """{"error":{"message":"broken"}}""") : FleetWorld.Answer(20)));
        ProxySnapshot snapshot = new()
        {
            Accounts = [RunningProxy.Account("up", upstream.BaseUrl)],
            Retry = new RetrySnapshot(MaxAttempts: 1),
            Breaker = new BreakerSnapshot { Failures = 3, OpenSeconds = 2 },
        };
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 4, snapshot);
        for (int i = 0; i < 3; i++) (await FleetWorld.AskAsync(fleet.Replicas[0])).Dispose();
        await Until.TrueAsync(() => fleet.Replicas.All(r => r.Runtime.Router.Pool.Export(TimeProvider.System.GetUtcNow()).Breakers.Any(b => b.State == BreakerState.Open)), s_known);
        Assert.Equal(3, upstream.Requests.Count);

        // Everybody asks all the time; only probes reach the upstream.
        long began = TimeProvider.System.GetTimestamp();
        await AskAllAsync(fleet, () => TimeProvider.System.GetElapsedTime(began) > TimeSpan.FromSeconds(7));
        int probes = upstream.Requests.Count - 3;
        int most = (int)Math.Ceiling(TimeProvider.System.GetElapsedTime(began).TotalSeconds / 2) + 1;
        Assert.InRange(probes, 1, most);

        Volatile.Write(ref isBroken, false);
        await AskAllAsync(fleet, () => fleet.Replicas.All(r => r.Runtime.Router.Pool.Export(TimeProvider.System.GetUtcNow()).Breakers.Length == 0));
        foreach (RunningProxy replica in fleet.Replicas)
        {
            using HttpResponseMessage served = await FleetWorld.AskAsync(replica);
            Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        }
    }

    [Fact]
    public async Task Replicas_ShowEachOtherAndTheDatabase()
    {
        await using RawUpstream upstream = RawUpstream.Always(FleetWorld.Answer(20));
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 2, new ProxySnapshot { Accounts = [RunningProxy.Account("up", upstream.BaseUrl)] });
        JsonElement status = await FleetWorld.StatusAsync(fleet.Replicas[0]);
        JsonElement[] replicas = [.. status.GetProperty("replicas").EnumerateArray()];
        Assert.Equal(2, replicas.Length);
        Assert.Single(replicas, r => r.GetProperty("self").GetBoolean());
        Assert.Equal(fleet.Replicas.Select(r => r.Server.Address.AbsoluteUri).Order(), replicas.Select(r => r.GetProperty("address").GetString()).Order());
        Assert.All(replicas, r => Assert.Equal(("yes", "up", status.GetProperty("version").GetString()), (r.GetProperty("ready").GetString(), r.GetProperty("accounts")[0].GetString(), r.GetProperty("version").GetString())));
        Assert.True(status.GetProperty("database").GetProperty("serves").GetBoolean());
        Assert.Contains("qwen_proxy_fleet_replicas 2", await fleet.Replicas[0].Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static int Cooldowns(RunningProxy replica) => replica.Runtime.Router.Pool.Export(TimeProvider.System.GetUtcNow()).Cooldowns.Length;

    private static async Task AskAllAsync(FleetWorld fleet, Func<bool> isEnough)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (!isEnough())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(30));
            foreach (RunningProxy replica in fleet.Replicas) (await FleetWorld.AskAsync(replica)).Dispose();
        }
    }
}
