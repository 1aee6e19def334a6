using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Fleet;

/// <summary>The database goes away, falls silent or is slow: requests are served as ever, and everything is booked afterwards.</summary>
public sealed class FleetOutageTests(PostgresServer postgres)
{
    private static readonly Uri s_ready = new("/readyz", UriKind.Relative);

    [Fact]
    public async Task DatabaseThatIsGone_HarmsNoRequestIsToldAndGetsEverythingBookedAfterwards()
    {
        await using RawUpstream upstream = RawUpstream.Always(FleetWorld.Answer(20));
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 2, Snapshot(upstream));
        Assert.Equal("ready\n", await fleet.Replicas[0].Client.GetStringAsync(s_ready, TestContext.Current.CancellationToken));
        foreach (DatabaseLink link in fleet.Links) link.Cut();
        await Until.TrueAsync(() => fleet.Replicas.All(r => r.Runtime.Members!.Trouble is not null), TimeSpan.FromSeconds(20));
        for (int i = 0; i < 100; i++) await AskAsync(fleet.Replicas[i % 2]);

        using (HttpResponseMessage ready = await fleet.Replicas[0].Client.GetAsync(s_ready, TestContext.Current.CancellationToken))
        {
            Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
            Assert.StartsWith("ready, degraded: the database", await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        JsonElement status = await FleetWorld.StatusAsync(fleet.Replicas[0]);
        Assert.False(status.GetProperty("database").GetProperty("serves").GetBoolean());
        Assert.Contains("does not serve", status.GetProperty("degraded").GetString(), StringComparison.Ordinal);
        Assert.Contains("qwen_proxy_database_away 1", await fleet.Replicas[0].Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken), StringComparison.Ordinal);

        foreach (DatabaseLink link in fleet.Links) link.Mend();
        await Until.TrueAsync(async () => await fleet.NumberAsync("SELECT coalesce(sum(used), 0) FROM qwen_proxy.limits WHERE key LIKE 'client:alice:tokens/%'") == 100 * 20, TimeSpan.FromSeconds(20));
        await Until.TrueAsync(() => fleet.Replicas.All(r => r.Runtime.Members!.Degraded() is null), TimeSpan.FromSeconds(20));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task DatabaseThatIsSilentOrTakesASecondForEachStatement_IsWaitedForByNoRequest(bool isSilent)
    {
        await using RawUpstream upstream = RawUpstream.Always(FleetWorld.Answer(20));
        await using FleetWorld fleet = await FleetWorld.StartAsync(postgres, 1, Snapshot(upstream));
        if (isSilent) fleet.Links[0].Silence();
        else fleet.Links[0].Delay = TimeSpan.FromSeconds(1);
        long began = TimeProvider.System.GetTimestamp();
        for (int i = 0; i < 200; i++) await AskAsync(fleet.Replicas[0]);
        TimeSpan took = TimeProvider.System.GetElapsedTime(began);
        // Had each waited for one statement, it would have been 200 s.
        Assert.True(took < TimeSpan.FromSeconds(40), $"{took.TotalSeconds} s");
        await Until.TrueAsync(() => fleet.Replicas[0].Runtime.Members!.Degraded() is not null, TimeSpan.FromSeconds(20));
        using HttpResponseMessage ready = await fleet.Replicas[0].Client.GetAsync(s_ready, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
    }

    /// <summary>Nothing is known of the fleet yet: it serves as one machine does, and joins when it can.</summary>
    [Fact]
    public async Task ReplicaThatStartsWhileTheDatabaseIsGone_ServesAndJoinsLater()
    {
        await using RawUpstream upstream = RawUpstream.Always(FleetWorld.Answer(20));
        await using DatabaseLink link = new(postgres, await postgres.NewDatabaseAsync());
        link.Cut();
        ProxySnapshot snapshot = Snapshot(upstream);
        await using RunningProxy replica = await RunningProxy.StartAsync(snapshot with { Storage = snapshot.Storage with { Database = PostgresServer.AddressOf(link.Url) } });
        await AskAsync(replica);
        link.Mend();
        await Until.TrueAsync(() => replica.Runtime.Members!.Degraded() is null && replica.Runtime.Members.Others.IsEmpty && replica.Runtime.Members.Trouble is null, TimeSpan.FromSeconds(20));
        await AskAsync(replica);
    }

    private static ProxySnapshot Snapshot(RawUpstream upstream) => new()
    {
        Accounts = [RunningProxy.Account("up", upstream.BaseUrl) with { MaxConcurrent = 8 }],
        Clients = [FleetWorld.Client("alice", new ClientLimits { TokensPerDay = 10_000_000, Concurrent = 100, RequestsPerMinute = 10_000 }), new ClientSnapshot("admin", new Core.Accounts.Secret("sk-admin."), IsAdmin: true)],
    };

    private static async Task AskAsync(RunningProxy replica)
    {
        using HttpResponseMessage response = await FleetWorld.AskAsync(replica, "alice");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
