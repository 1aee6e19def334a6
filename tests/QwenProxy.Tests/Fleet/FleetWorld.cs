using System.Globalization;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Clients;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Fleet;

/// <summary>Several proxies with one PostgreSQL database, each by a network of its own to it.</summary>
internal sealed class FleetWorld : IAsyncDisposable
{
    private readonly PostgresServer _postgres;
    private readonly List<RunningProxy> _replicas = [];
    private readonly List<DatabaseLink> _links = [];

    private FleetWorld(PostgresServer postgres, string url)
    {
        _postgres = postgres;
        Url = url;
    }

    /// <summary>The database, without a link between.</summary>
    public string Url { get; }

    public IReadOnlyList<RunningProxy> Replicas => _replicas;

    public IReadOnlyList<DatabaseLink> Links => _links;

    public static async Task<FleetWorld> StartAsync(PostgresServer postgres, int replicas, ProxySnapshot snapshot)
    {
        FleetWorld world = new(postgres, await postgres.NewDatabaseAsync());
        for (int i = 0; i < replicas; i++) await world.JoinAsync(snapshot);
        // All know of each other, so that limits are divided by their number.
        await Until.TrueAsync(() => world.Replicas.All(r => r.Runtime.Members!.Live == replicas), TimeSpan.FromSeconds(30));
        return world;
    }

    public async Task<RunningProxy> JoinAsync(ProxySnapshot snapshot)
    {
        DatabaseLink link = new(_postgres, Url);
        _links.Add(link);
        RunningProxy replica = await RunningProxy.StartAsync(snapshot with { Storage = snapshot.Storage with { Database = PostgresServer.AddressOf(link.Url) } });
        _replicas.Add(replica);
        return replica;
    }

    public static async Task<JsonElement> StatusAsync(RunningProxy replica)
    {
        using JsonDocument document = JsonDocument.Parse(await replica.Client.GetStringAsync(new Uri("/admin/status", UriKind.Relative)));
        return document.RootElement.Clone();
    }

    public async Task<long> NumberAsync(string sql) => Convert.ToInt64(await PostgresServer.ExecuteAsync(Url, sql), CultureInfo.InvariantCulture);

    public static ClientSnapshot Client(string name, ClientLimits limits) => new(name, new Secret($"sk-{name}.")) { Limits = limits };

    /// <summary>A streamed question of a client's.</summary>
    public static Task<HttpResponseMessage> AskAsync(RunningProxy replica, string? client = null, string question = "hello", CancellationToken stop = default)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true, question: question)) };
        if (client is not null) request.Headers.Add("x-api-key", $"sk-{client}.");
        return replica.Client.SendAsync(request, stop);
    }

    /// <summary>A complete answer that counted this many tokens.</summary>
    public static string Answer(int tokens) => RawUpstream.Sse(
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        + $"data: {{\"id\":\"c\",\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{tokens - 10}}}}}\n\ndata: [DONE]\n\n");

    public async ValueTask DisposeAsync()
    {
        foreach (DatabaseLink link in _links) link.Mend();
        foreach (RunningProxy replica in _replicas) await replica.DisposeAsync();
        foreach (DatabaseLink link in _links) await link.DisposeAsync();
    }
}
