using System.Security.Cryptography.X509Certificates;
using QwenProxy.Simulator.Agents;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Simulator;

/// <summary>How a simulated Qwen service behaves. The defaults are a healthy one on a free loopback port.</summary>
public sealed record SimulatorOptions
{
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>0 takes a free one.</summary>
    public int Port { get; init; }

    /// <summary>For requests that choose none themselves; see docs/simulator.md.</summary>
    public string Scenario { get; init; } = "healthy";

    /// <summary>A captured stream. Every streaming chat request is answered with its bytes, exactly.</summary>
    public string? ReplayFile { get; init; }

    /// <summary>When set, a request with another key gets the service's 401.</summary>
    public string? ApiKey { get; init; }

    /// <summary>When set, a bearer token it refuses gets the portal's 401.</summary>
    public Func<string, bool>? AcceptsToken { get; init; }

    /// <summary>When set, its routes are served beside the models', so that a sign-in and what it is for are at one address.</summary>
    public OAuthSimulator? OAuth { get; init; }

    /// <summary>The portal's own rule: 400 unless the first message has the role system.</summary>
    public bool Portal { get; init; }

    /// <summary>Chat requests are checked as the service checks them: roles, arguments in the history, tool results without a call.</summary>
    public bool Strict { get; init; }

    /// <summary>What <c>GET models</c> lists; null for a small list of Qwen models.</summary>
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>A model that is not listed gets a 404 instead of an answer.</summary>
    public bool OnlyListedModels { get; init; }

    /// <summary>Between two events of a stream.</summary>
    public TimeSpan EventGap { get; init; }

    /// <summary>Chooses a scenario before header, model name and <see cref="Scenario"/> are looked at; null leaves it to them.</summary>
    public Func<RecordedRequest, string?>? ChooseScenario { get; init; }

    /// <summary>For the scenario <c>agent</c> when it names no file.</summary>
    public AgentScript? Script { get; init; }

    /// <summary>How many requests are kept for <see cref="SimulatorServer.Requests"/>, the newest; 0 keeps none and is for benchmarks.</summary>
    public int KeepRequests { get; init; } = 2000;

    /// <summary>HTTP/2 with prior knowledge, or beside HTTP/1.1 when there is a <see cref="Certificate"/>.</summary>
    public bool Http2 { get; init; }

    /// <summary>Speaks TLS with this certificate.</summary>
    public X509Certificate2? Certificate { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where request ids come from.</summary>
    public int Seed { get; init; } = 1;
}
