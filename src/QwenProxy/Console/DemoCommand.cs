using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Hosting;
using QwenProxy.Observability;
using QwenProxy.Simulator;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Console;

/// <summary>
/// <c>qwen-proxy demo</c>: the proxy in front of the built-in simulated Qwen, in one process, and one answer streaming through both. No account,
/// no network, nothing written to disk.
/// </summary>
internal sealed class DemoCommand(Terminal terminal)
{
    /// <summary>The stutter that gave the proxy its first reason to exist: the beginning comes twice.</summary>
    private const string DefaultScenario = "stutter-s2";

    /// <summary>Slow enough to see the words come.</summary>
    private static readonly TimeSpan Gap = TimeSpan.FromMilliseconds(20);

    public async Task<int> RunAsync(DemoOptions options, CancellationToken stop)
    {
        string scenario = options.Scenario ?? DefaultScenario;
        try
        {
            await using SimulatorServer simulator = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario, EventGap = Gap }, stop);
            ProxySnapshot snapshot = new()
            {
                Port = options.Port ?? (options.Once ? 0 : new ProxySnapshot().Port),
                Accounts = [new AccountSnapshot { Name = "demo", BaseUrl = simulator.BaseUrl, Profile = Profiles.ByName("dashscope")!, ApiKey = new Secret("demo-key") }],
            };
            using ILoggerFactory loggers = LoggerFactory.Create(builder => Logging.HideStartFailures(builder, LogLevel.Error).SetMinimumLevel(LogLevel.Error).AddConsole(o => o.LogToStandardErrorThreshold = LogLevel.Trace));
            ProxyRuntime runtime = new(snapshot, loggers, TimeProvider.System, new Random());
            await using ProxyServer server = await ProxyServer.StartAsync(runtime, stop);
            return await ShowAsync(simulator, server, scenario, options.Once, stop);
        }
        catch (ScenarioException unknown)
        {
            terminal.Error.WriteLine($"{unknown.Message}. `qwen-proxy simulate --list` shows them all.");
            return ExitCodes.BadUsage;
        }
        catch (Exception failure) when (ListenProblem.Is(failure))
        {
            terminal.Error.WriteLine(await ListenProblem.TellAsync("The demo", new ProxySnapshot().Host, options.Port ?? new ProxySnapshot().Port, failure, stop));
            return ExitCodes.Failed;
        }
    }

    private async Task<int> ShowAsync(SimulatorServer simulator, ProxyServer server, string scenario, bool once, CancellationToken stop)
    {
        terminal.Error.WriteLine($"A simulated Qwen ({scenario}) answers at {simulator.BaseUrl}; the proxy in front of it listens on {server.Address}.");
        terminal.Error.WriteLine("What upstream sent, and what a client of the proxy reads:");
        await PrintAsync("upstream ", simulator.BaseUrl, stop);
        bool complete = await PrintAsync("repaired ", new Uri(server.Address, "v1"), stop);
        if (!complete)
        {
            terminal.Error.WriteLine("The answer did not come through whole.");
            return ExitCodes.Failed;
        }

        await TellRepairsAsync(server.Address, stop);
        if (once) return ExitCodes.Done;
        string body = """{"model":"qwen3.7-plus","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
        terminal.Error.WriteLine($"Try it: curl -N {new Uri(server.Address, "v1/chat/completions")} -H 'content-type: application/json' -d '{body}'");
        terminal.Error.WriteLine($"The page is {server.Address}. Ctrl-C stops the demo.");
        await ServeCommand.WaitForAsync(stop);
        await server.StopAsync();
        return ExitCodes.Done;
    }

    private async Task TellRepairsAsync(Uri proxy, CancellationToken stop)
    {
        using HttpClient client = new() { BaseAddress = proxy };
        JsonElement[] recent = [];
        // A request settles a moment after the client has read its end.
        long begin = TimeProvider.System.GetTimestamp();
        while (recent.Length == 0 && TimeProvider.System.GetElapsedTime(begin) < TimeSpan.FromSeconds(5))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, stop);
            using JsonDocument requests = JsonDocument.Parse(await client.GetStringAsync(new Uri("/admin/requests", UriKind.Relative), stop));
            recent = [.. requests.RootElement.GetProperty("recent").EnumerateArray().Select(r => r.Clone())];
        }

        string[] repairs = [.. recent.Take(1).SelectMany(r => r.GetProperty("repairs").EnumerateArray()).Select(Words)];
        terminal.Error.WriteLine(repairs.Length == 0 ? "Nothing had to be repaired." : $"Repaired by {string.Join(", ", repairs)}; docs/stream-repair.md names the rules.");
    }

    private static string Words(JsonElement repair)
    {
        int count = repair.GetProperty("count").GetInt32();
        return $"{repair.GetProperty("stage").GetString()} {repair.GetProperty("rule").GetString()} ({repair.GetProperty("action").GetString()} {count} {(count == 1 ? "time" : "times")})";
    }

    /// <summary>Streams one answer to stdout as it comes. True when it ended with the end mark.</summary>
    private async Task<bool> PrintAsync(string label, Uri baseUrl, CancellationToken stop)
    {
        using HttpClient client = new();
        using HttpRequestMessage request = new(HttpMethod.Post, $"{baseUrl.AbsoluteUri}/chat/completions");
        request.Content = new StringContent(
            """{"model":"qwen3.7-plus","stream":true,"messages":[{"role":"user","content":"Say something short."}]}""", Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "demo-key");
        using HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        terminal.Out.Write(label + "| ");
        bool done = false;
        try
        {
            using StreamReader lines = new(await response.Content.ReadAsStreamAsync(stop));
            while (await lines.ReadLineAsync(stop) is { } line)
            {
                if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                done |= line == "data: [DONE]";
                terminal.Out.Write(TextOf(line[6..]).Replace("\n", "\n" + label + "| ", StringComparison.Ordinal));
                await terminal.Out.FlushAsync(stop);
            }
        }
        catch (Exception broken) when (broken is HttpRequestException or IOException)
        {
            done = false;
        }

        terminal.Out.WriteLine();
        return done && response.IsSuccessStatusCode;
    }

    private static string TextOf(string data)
    {
        if (data == "[DONE]") return "";
        using JsonDocument chunk = JsonDocument.Parse(data);
        if (!chunk.RootElement.TryGetProperty("choices", out JsonElement choices) || choices.GetArrayLength() == 0) return "";
        return choices[0].TryGetProperty("delta", out JsonElement delta) && delta.TryGetProperty("content", out JsonElement text) ? text.GetString() ?? "" : "";
    }
}
