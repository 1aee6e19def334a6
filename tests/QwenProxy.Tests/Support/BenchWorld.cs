using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Simulator;

namespace QwenProxy.Tests.Support;

/// <summary>
/// One cell of Failover Bench: a provider whose primary model misbehaves in one way, a fallback model that is healthy unless told otherwise, and a
/// proxy with one account for both. It gives the two views the catalogue scores by: what the caller got, and which attempts the provider saw.
/// </summary>
internal sealed class BenchWorld : IAsyncDisposable
{
    public const string Primary = "m";
    public const string Fallback = "larger";

    private readonly SimulatorServer _provider;
    private readonly RunningProxy _proxy;

    private BenchWorld(SimulatorServer provider, RunningProxy proxy)
    {
        _provider = provider;
        _proxy = proxy;
    }

    public RunningProxy Proxy => _proxy;

    /// <summary>The attempts the provider saw on the primary model, in order.</summary>
    public RecordedRequest[] OnPrimary => Attempts(Primary);

    public RecordedRequest[] OnFallback => Attempts(Fallback);

    public static Task<BenchWorld> StartAsync(string fault, Func<ProxySnapshot, ProxySnapshot>? configure = null) => StartAsync(_ => fault, _ => "healthy", configure);

    /// <param name="primary">The scenario of an attempt at the primary model.</param>
    /// <param name="fallback">The scenario of an attempt at the fallback model.</param>
    /// <param name="configure">Changes the proxy's configuration.</param>
    /// <param name="time">The proxy's clock.</param>
    public static async Task<BenchWorld> StartAsync(
        Func<RecordedRequest, string> primary, Func<RecordedRequest, string> fallback, Func<ProxySnapshot, ProxySnapshot>? configure = null, TimeProvider? time = null)
    {
        SimulatorServer provider = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = r => ModelOf(r) == Primary ? primary(r) : fallback(r) });
        ProxySnapshot snapshot = new()
        {
            Accounts = [RunningProxy.Account("up", provider.BaseUrl)],
            Models = new ModelsSnapshot { Fallbacks = ImmutableDictionary<string, ImmutableArray<string>>.Empty.Add(Primary, [Fallback]) },
        };
        return new BenchWorld(provider, await RunningProxy.StartAsync(snapshot, configure, time));
    }

    /// <summary>One call of a caller that streams and wants to know the usage.</summary>
    public async Task<BenchAnswer> AskAsync(string dialect, string model = Primary)
    {
        long began = TimeProvider.System.GetTimestamp();
        using HttpResponseMessage response = await _proxy.PostAsync(Body(dialect, model), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        return new BenchAnswer(response.StatusCode, text, orderly, TimeProvider.System.GetElapsedTime(began));
    }

    /// <summary>What a caller must have in the end.</summary>
    public static string Wanted { get; } = SimulatedAnswers.Meant("healthy", Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: true))).Text;

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _provider.DisposeAsync();
    }

    private static string Body(string dialect, string model)
    {
        string body = Dialect.Body(dialect, stream: true, model);
        return dialect == Dialect.Chat ? body.Replace("\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}", StringComparison.Ordinal) : body;
    }

    private static string ModelOf(RecordedRequest request)
    {
        using JsonDocument body = JsonDocument.Parse(request.Body);
        return body.RootElement.GetProperty("model").GetString()!;
    }

    private RecordedRequest[] Attempts(string model) => [.. _provider.Requests.Where(r => ModelOf(r) == model)];
}

/// <summary>What the caller of one benched call got.</summary>
internal sealed record BenchAnswer(HttpStatusCode Status, string Text, bool Orderly, TimeSpan Took)
{
    /// <summary>The caller takes it for a whole answer.</summary>
    public bool IsSuccess => Status == HttpStatusCode.OK && Orderly && StreamText.IsComplete(Text);

    public string Content => StreamText.Content(Text);

    /// <summary>The model the answer names, last.</summary>
    public string? Model => Members("model").LastOrDefault(m => m.ValueKind == JsonValueKind.String).GetString();

    /// <summary>Output tokens of the last usage report; null without one.</summary>
    public int? OutputTokens
    {
        get
        {
            JsonElement usage = Members("usage").LastOrDefault(u => u.ValueKind == JsonValueKind.Object);
            if (usage.ValueKind != JsonValueKind.Object) return null;
            return (usage.TryGetProperty("completion_tokens", out JsonElement count) ? count : usage.GetProperty("output_tokens")).GetInt32();
        }
    }

    /// <summary>A member of the event itself (chat), of its <c>message</c> (Messages) or of its <c>response</c> (Responses).</summary>
    private IEnumerable<JsonElement> Members(string name)
    {
        foreach (JsonElement one in StreamText.Events(Text))
        {
            foreach (JsonElement place in new[] { one, Inner(one, "message"), Inner(one, "response") })
            {
                if (place.ValueKind == JsonValueKind.Object && place.TryGetProperty(name, out JsonElement member)) yield return member;
            }
        }
    }

    private static JsonElement Inner(JsonElement one, string name) => one.TryGetProperty(name, out JsonElement inner) ? inner : default;
}
