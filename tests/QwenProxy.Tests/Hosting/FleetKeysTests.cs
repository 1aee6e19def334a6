using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Hosting;

/// <summary>Client keys as rows, and replicas that take them up.</summary>
public sealed class FleetKeysTests(PostgresServer postgres) : IDisposable
{
    private static readonly TimeSpan s_promised = TimeSpan.FromSeconds(6);

    private readonly TemporaryFolder _folder = new();
    private readonly RawUpstream _upstream = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));

    public void Dispose()
    {
        _upstream.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _folder.Dispose();
    }

    [Fact]
    public async Task KeyAddedOnOneMachine_IsAskedForByAllReplicasWithinSixSeconds_AndItsEndToo()
    {
        string url = await postgres.NewDatabaseAsync();
        await using RunningProxy first = await ReplicaAsync(url, "a");
        await using RunningProxy second = await ReplicaAsync(url, "b");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(first, null));
        await using FleetDatabase machine = new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance);
        FleetKeys keys = new(machine);
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        StoredKey alice = new("alice", DateTimeOffset.UnixEpoch, ClientLimits.None, [kept]);
        await keys.ChangeAsync(ring => ring.With(alice), CancellationToken.None);
        foreach (RunningProxy replica in new[] { first, second })
        {
            await BecomesAsync(replica, null, HttpStatusCode.Unauthorized);
            Assert.Equal(HttpStatusCode.OK, await AskAsync(replica, key));
        }

        await keys.ChangeAsync(ring => ring.With(alice with { Revoked = DateTimeOffset.UnixEpoch, Hashes = [] }), CancellationToken.None);
        foreach (RunningProxy replica in new[] { first, second }) await BecomesAsync(replica, key, HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task ReplicaThatStartsWhileTheDatabaseIsAway_KnowsTheKeysOfBefore()
    {
        string url = await postgres.NewDatabaseAsync();
        await using DatabaseLink link = new(postgres, url);
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        await using (FleetDatabase machine = new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance))
            await new FleetKeys(machine).ChangeAsync(ring => ring.With(new StoredKey("alice", DateTimeOffset.UnixEpoch, ClientLimits.None, [kept])), CancellationToken.None);
        await using (RunningProxy before = await ReplicaAsync(link.Url, "a")) Assert.Equal(HttpStatusCode.OK, await AskAsync(before, key));
        link.Cut();
        await using (RunningProxy again = await ReplicaAsync(link.Url, "a"))
        {
            Assert.Equal(HttpStatusCode.OK, await AskAsync(again, key));
            Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(again, null));
        }

        // One that never knew any lets nobody in: nobody can tell whether a key is asked for.
        await using RunningProxy stranger = await ReplicaAsync(link.Url, "c");
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(stranger, null));
        link.Mend();
        await Until.TrueAsync(() => stranger.Runtime.Snapshot.Keys.AreKnown, TimeSpan.FromSeconds(30));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(stranger, key));
    }

    [Fact]
    public void ReachableReplica_AsksForAKeyWhileThereIsNone()
    {
        StorageSnapshot fleet = new() { Database = PostgresServer.AddressOf("postgres://me@db.example.com/fleet") };
        Assert.True(new ProxySnapshot { Host = "0.0.0.0", Storage = fleet }.AsksForKey);
        Assert.False(new ProxySnapshot { Host = "127.0.0.1", Storage = fleet }.AsksForKey);
    }

    [Fact]
    public async Task TwelveCommandsAtOnce_LoseNoKey()
    {
        string url = await postgres.NewDatabaseAsync();
        await Parallel.ForAsync(0, 12, TestContext.Current.CancellationToken, async (i, stop) =>
        {
            await using FleetDatabase machine = new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance);
            await new FleetKeys(machine).ChangeAsync(ring => ring.With(new StoredKey($"c{i}", DateTimeOffset.UnixEpoch, ClientLimits.None, [])), stop);
        });
        await using FleetDatabase reader = new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance);
        Assert.Equal(12, (await new FleetKeys(reader).ReadAsync(CancellationToken.None)).Keys.Length);
    }

    private Task<RunningProxy> ReplicaAsync(string url, string name) => RunningProxy.StartAsync(_upstream.BaseUrl, s => s with
    {
        Storage = s.Storage with { DataFolder = _folder.Of(name), Database = PostgresServer.AddressOf(url) },
        Keys = KeyFile.Read(Path.Combine(_folder.Of(name), KeyFile.FleetName), out _) is { Keys.IsEmpty: false } kept ? kept : KeyRing.Unknown,
    });

    private static async Task<HttpStatusCode> AskAsync(RunningProxy proxy, string? key)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json("""{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}""") };
        if (key is not null) request.Headers.Add("Authorization", "Bearer " + key);
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        return response.StatusCode;
    }

    private static async Task BecomesAsync(RunningProxy proxy, string? key, HttpStatusCode wanted)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (await AskAsync(proxy, key) != wanted)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < s_promised, $"It did not become {wanted} within {s_promised}.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }
    }
}
