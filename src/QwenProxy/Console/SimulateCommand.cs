using QwenProxy.Simulator;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy simulate</c>: the simulator alone, as an upstream for any client.</summary>
internal sealed class SimulateCommand(Terminal terminal)
{
    private const int DefaultPort = 8144;

    /// <summary>Time enough to open the link, and an end of its own where nobody can.</summary>
    private const int PollsUntilConfirmed = 3;

    public async Task<int> RunAsync(SimulateOptions options, CancellationToken stop)
    {
        if (options.List)
        {
            PrintList(options.Json);
            return ExitCodes.Done;
        }

        if (options.ReplayFile is not null && !File.Exists(options.ReplayFile))
        {
            terminal.Error.WriteLine($"There is no file {options.ReplayFile} to replay.");
            return ExitCodes.NotFound;
        }

        SimulatorServer simulator;
        try
        {
            SimulatorOptions settings = new() { Port = options.Port ?? DefaultPort, ReplayFile = options.ReplayFile, Scenario = options.Scenario ?? "healthy", OAuth = new OAuthSimulator(TimeProvider.System, new OAuthSimulatorOptions { ConfirmsAfterPolls = PollsUntilConfirmed, IntervalSeconds = 1 }) };
            simulator = await SimulatorServer.StartAsync(settings, stop);
        }
        catch (Exception failure) when (ListenProblem.Is(failure))
        {
            terminal.Error.WriteLine(await ListenProblem.TellAsync("The simulator", "127.0.0.1", options.Port ?? DefaultPort, failure, stop));
            return ExitCodes.Failed;
        }
        catch (ScenarioException unknown)
        {
            terminal.Error.WriteLine($"{unknown.Message}. `qwen-proxy simulate --list` shows them all.");
            return ExitCodes.BadUsage;
        }

        await using (simulator)
        {
            terminal.Error.WriteLine($"The Qwen simulator answers at {simulator.BaseUrl} ({options.ReplayFile ?? options.Scenario ?? "healthy"}). Ctrl-C stops it.");
            terminal.Error.WriteLine($"A sign-in can be tried there, too: QWEN_OAUTH_BASE_URL={simulator.BaseUrl.GetLeftPart(UriPartial.Authority)} QWEN_HOME=./qwen-home qwen-proxy login");
            await ServeCommand.WaitForAsync(stop);
        }

        return ExitCodes.Done;
    }

    private void PrintList(bool asJson)
    {
        if (!asJson)
        {
            TablePrinter.Print(terminal, ["SCENARIO", "GROUP", "WHAT IT DOES"], [.. SimulatorServer.Scenarios.Select(s => new[] { s.Name, s.Group, s.Summary })]);
            return;
        }

        JsonPrinter.Print(terminal, json =>
        {
            json.WriteStartArray();
            foreach ((string name, string group, string summary) in SimulatorServer.Scenarios)
            {
                json.WriteStartObject();
                json.WriteString("name", name);
                json.WriteString("group", group);
                json.WriteString("summary", summary);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }
}
