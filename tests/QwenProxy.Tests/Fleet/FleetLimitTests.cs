using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Fleet;

/// <summary>Limits that several replicas divide.</summary>
public sealed partial class FleetLimitTests(PostgresServer postgres)
{
    private const int Clients = 60;
    private const int LargestAnswer = 200;
    private const int AtOnce = 4;

    private readonly ConcurrentDictionary<string, long> _counted = new();

    /// <summary>Some budgets are spent to their end. One replica's network is cut for a while, another one's falls silent, a third one's database answers late.</summary>
    [Fact]
    public async Task FourReplicasSixtyClientsAndFaults_KeepBudgetsWithinTheBound()
    {
        await using RawUpstream upstream = CountingUpstream();
        ProxySnapshot snapshot = new()
        {
            Accounts = [RunningProxy.Account("up", upstream.BaseUrl)],
            Clients = [.. Enumerable.Range(0, Clients).Select(i => FleetWorld.Client($"c{i}", LimitsOf(i)))],
        };
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 4, snapshot);
        ConcurrentDictionary<int, int> statuses = new();
        Task faults = BreakAndMendAsync(fleet);
        await Parallel.ForAsync(0, Clients * AtOnce, new ParallelOptions { MaxDegreeOfParallelism = Clients * AtOnce }, async (lane, stop) =>
        {
            for (int i = 0; i < 10; i++) statuses.AddOrUpdate((int)await AskAsync(fleet.Replicas[(lane + i) % 4], $"c{lane % Clients}", stop), 1, (_, n) => n + 1);
        });
        await faults;
        // Those with small budgets go on until the fleet is well and the end is reached.
        await Parallel.ForAsync(0, 4, async (i, stop) => await SpendToTheEndAsync(fleet, $"c{i}", stop));
        for (int i = 0; i < Clients; i++)
        {
            long limit = LimitsOf(i).TokensPerDay!.Value;
            long counted = _counted.GetValueOrDefault($"c{i}");
            Assert.True(counted <= (limit * 105 / 100) + (AtOnce * LargestAnswer), $"c{i}: {counted} of {limit}");
            if (i < 4) Assert.True(counted >= limit * 95 / 100, $"c{i}: only {counted} of {limit}");
        }

        Assert.All(statuses.Keys, s => Assert.True(s is 200 or 429, $"{s}"));
        // What upstream counted is what the database has booked, once everybody has told it.
        long all = _counted.Values.Sum();
        await Until.TrueAsync(async () => await fleet.NumberAsync("SELECT sum(used) FROM qwen_proxy.limits WHERE key LIKE '%:tokens/%'") == all, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task RequestsAtOnce_StayWithinTheLimitOfTheAccountAndMoveToWhereTheyAreWanted()
    {
        int running = 0;
        int most = 0;
        using SemaphoreSlim go = new(0);
        await using RawUpstream upstream = new(async exchange =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref running));
            await go.WaitAsync(TimeSpan.FromSeconds(30));
            Interlocked.Decrement(ref running);
            await exchange.SendAsync(FleetWorld.Answer(20));
        });
        ProxySnapshot snapshot = new() { Accounts = [RunningProxy.Account("up", upstream.BaseUrl) with { MaxConcurrent = 8 }], Limits = new LimitsSnapshot { QueueSeconds = 60 } };
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 4, snapshot);
        await Until.TrueAsync(async () => await fleet.NumberAsync("SELECT coalesce(sum(held), 0) FROM qwen_proxy.limits WHERE key = 'account:up'") == 8, TimeSpan.FromSeconds(10));
        // All at one replica, which has two slots: the others' six come to it.
        Task<HttpResponseMessage>[] asked = [.. Enumerable.Range(0, 10).Select(_ => FleetWorld.AskAsync(fleet.Replicas[1]))];
        await Until.TrueAsync(() => Volatile.Read(ref running) == 8, TimeSpan.FromSeconds(20));
        // One that others want is not taken away while it is in use, and comes when it is free.
        Task<HttpResponseMessage> elsewhere = FleetWorld.AskAsync(fleet.Replicas[3]);
        go.Release(20);
        foreach (Task<HttpResponseMessage> one in asked.Append(elsewhere)) Assert.Equal(HttpStatusCode.OK, (await one).StatusCode);
        Assert.Equal(8, most);
    }

    [Fact]
    public async Task ReplicaThatLeaves_GivesBackWhatItHeldAndBooksWhatItSpent()
    {
        await using RawUpstream upstream = CountingUpstream();
        ProxySnapshot snapshot = new() { Accounts = [RunningProxy.Account("up", upstream.BaseUrl) with { MaxConcurrent = 4 }], Clients = [FleetWorld.Client("c0", new ClientLimits { TokensPerDay = 10_000 })] };
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 1, snapshot);
        await using (DatabaseLink link = new(postgres, fleet.Url))
        {
            await using RunningProxy leaves = await RunningProxy.StartAsync(snapshot with { Storage = snapshot.Storage with { Database = PostgresServer.AddressOf(link.Url) } });
            for (int i = 0; i < 5; i++) await AskAsync(leaves, "c0", TestContext.Current.CancellationToken);
        }

        Assert.Equal(1, await fleet.NumberAsync("SELECT count(*) FROM qwen_proxy.replicas"));
        Assert.Equal(_counted["c0"], await fleet.NumberAsync("SELECT used FROM qwen_proxy.limits WHERE key LIKE 'client:c0:tokens/%'"));
        Assert.Equal(0, await fleet.NumberAsync("SELECT coalesce(sum(amount), 0) FROM qwen_proxy.limit_parts p WHERE NOT EXISTS (SELECT 1 FROM qwen_proxy.replicas r WHERE r.id = p.replica)"));
    }

    private static ClientLimits LimitsOf(int client) => new() { TokensPerDay = client < 4 ? 20_000 : 10_000_000, Concurrent = 1000, RequestsPerMinute = 100_000 };

    private RawUpstream CountingUpstream() => new(async exchange =>
    {
        string client = Question().Match(Encoding.UTF8.GetString(exchange.Body)).Value;
        int tokens = 20 + (exchange.Body.Length * 7919 % (LargestAnswer - 20));
        _counted.AddOrUpdate(client, tokens, (_, n) => n + tokens);
        await exchange.SendAsync(FleetWorld.Answer(tokens));
    });

    private static async Task<HttpStatusCode> AskAsync(RunningProxy replica, string client, CancellationToken stop)
    {
        using HttpResponseMessage response = await FleetWorld.AskAsync(replica, client, client, stop);
        return response.StatusCode;
    }

    private static async Task SpendToTheEndAsync(FleetWorld fleet, string client, CancellationToken stop)
    {
        long began = TimeProvider.System.GetTimestamp();
        for (int i = 0; TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(40); i++)
        {
            using HttpResponseMessage response = await FleetWorld.AskAsync(fleet.Replicas[i % 4], client, client, stop);
            // Until midnight, and not only until another part has come.
            if (response.Headers.RetryAfter?.Delta > TimeSpan.FromSeconds(2)) return;
            if (response.StatusCode != HttpStatusCode.OK) await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, stop);
        }

        Assert.Fail($"{client} was never told that its budget is used up.");
    }

    private static async Task BreakAndMendAsync(FleetWorld fleet)
    {
        fleet.Links[1].Cut();
        fleet.Links[2].Silence();
        fleet.Links[3].Delay = TimeSpan.FromMilliseconds(200);
        await Task.Delay(TimeSpan.FromSeconds(4), TimeProvider.System);
        fleet.Links[1].Mend();
        fleet.Links[2].Mend();
        fleet.Links[3].Delay = TimeSpan.Zero;
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int seen = Volatile.Read(ref most);
        while (value > seen)
        {
            int before = Interlocked.CompareExchange(ref most, value, seen);
            if (before == seen) return;
            seen = before;
        }
    }

    [GeneratedRegex("c[0-9]+")]
    private static partial Regex Question();
}
