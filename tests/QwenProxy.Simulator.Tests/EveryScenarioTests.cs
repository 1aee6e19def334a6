using System.Net;

namespace QwenProxy.Simulator.Tests;

public sealed class EveryScenarioTests
{
    private static readonly string[] Endless = ["stall", "stall-pings", "silence", "headers-then-silence", "comments-only"];

    public static TheoryData<string> Names => [.. SimulatedAnswers.Scenarios.Select(s => s.Name).Except(Endless).Except(["agent", "delay"])];

    /// <summary>Whatever a scenario does, it never trips over itself: no fault of the simulator, streaming or not.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public async Task Scenario_IsServed(string name)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        (string Path, string Body)[] asks =
        [
            ("chat/completions", Ask.Tools), ("chat/completions", Ask.Plain), ("messages", """{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"""),
            ("responses", """{"model":"m","stream":true,"input":"hi"}"""),
        ];
        foreach ((string path, string body) in asks)
        {
            try
            {
                using HttpResponseMessage response = await upstream.PostAsync(path, body, name);
                string text = await response.Content.ReadAsStringAsync(Upstream.Stop);
                Assert.DoesNotContain("simulator_fault", text);
                Assert.True(name is "error-500" or "status" || name.StartsWith("error-500-", StringComparison.Ordinal)
                    || response.StatusCode != HttpStatusCode.InternalServerError);
            }
            catch (HttpRequestException) when (name is "cut" or "reset-before-headers" or "close-before-headers")
            {
                Assert.NotEmpty(upstream.Server.Requests);
            }
        }
    }
}
