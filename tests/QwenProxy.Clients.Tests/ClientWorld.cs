using System.ClientModel;
using System.ClientModel.Primitives;
using Anthropic;
using OpenAI;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Simulator.Answers;
using QwenProxy.Tests.Support;

namespace QwenProxy.Clients.Tests;

/// <summary>
/// A simulated Qwen service, a proxy before it, and the official SDKs pointed at the proxy. They ask for <c>sim-NAME</c> as their model, which
/// chooses the simulator's scenario, and do not try again themselves: what is tested is the proxy.
/// </summary>
internal sealed class ClientWorld : IAsyncDisposable
{
    /// <summary>A picture of one pixel.</summary>
    public static readonly byte[] Pixel = Convert.FromBase64String(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==");

    private ClientWorld(SimulatorServer upstream, RunningProxy proxy)
    {
        Upstream = upstream;
        Proxy = proxy;
        Url = new Uri(proxy.Server.Address, "v1");
        OpenAI = new OpenAIClient(new ApiKeyCredential("client-key"), new OpenAIClientOptions { Endpoint = Url, RetryPolicy = new ClientRetryPolicy(0) });
        Anthropic = new AnthropicClient { BaseUrl = proxy.Server.Address.ToString().TrimEnd('/'), ApiKey = "client-key", MaxRetries = 0 };
    }

    public SimulatorServer Upstream { get; }

    public RunningProxy Proxy { get; }

    public Uri Url { get; }

    public OpenAIClient OpenAI { get; }

    public AnthropicClient Anthropic { get; }

    /// <summary>The newest request that reached the simulator.</summary>
    public RecordedRequest LastRequest => Upstream.Requests[^1];

    /// <summary>What the simulated model meant by its newest answer, before any defect.</summary>
    public SimulatedAnswer Meant => SimulatedAnswers.Meant(LastRequest.Scenario, LastRequest.Body);

    public static async Task<ClientWorld> StartAsync(SimulatorOptions? options = null, Func<ProxySnapshot, ProxySnapshot>? configure = null)
    {
        SimulatorServer upstream = await SimulatorServer.StartAsync(options ?? new SimulatorOptions());
        return new ClientWorld(upstream, await RunningProxy.StartAsync(upstream.BaseUrl, configure));
    }

    /// <summary>One attempt and no resume: upstream's failure is the client's.</summary>
    public static ProxySnapshot Plain(ProxySnapshot snapshot) => snapshot with { Retry = snapshot.Retry with { MaxAttempts = 1 }, Resume = false };

    public async ValueTask DisposeAsync()
    {
        Anthropic.Dispose();
        await Proxy.DisposeAsync();
        await Upstream.DisposeAsync();
    }
}
