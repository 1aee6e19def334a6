using QwenProxy.Simulator;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy simulate</c>: the simulator alone, as an upstream for any client.</summary>
internal sealed class SimulateCommand(Terminal terminal)
{
    private const int DefaultPort = 8144;

    public async Task<int> RunAsync(SimulateOptions options, CancellationToken stop)
    {
        if (options.ReplayFile is not null && !File.Exists(options.ReplayFile))
        {
            terminal.Error.WriteLine($"There is no file {options.ReplayFile} to replay.");
            return ExitCodes.NotFound;
        }

        SimulatorServer simulator;
        try
        {
            SimulatorOptions settings = new() { Port = options.Port ?? DefaultPort, ReplayFile = options.ReplayFile, Scenario = options.Scenario ?? "healthy" };
            simulator = await SimulatorServer.StartAsync(settings, stop);
        }
        catch (IOException taken)
        {
            terminal.Error.WriteLine($"The simulator cannot listen: {taken.GetBaseException().Message}. Choose another port with --port.");
            return ExitCodes.Failed;
        }
        catch (ScenarioException unknown)
        {
            terminal.Error.WriteLine(unknown.Message);
            return ExitCodes.BadUsage;
        }

        await using (simulator)
        {
            terminal.Error.WriteLine($"The Qwen simulator answers at {simulator.BaseUrl} ({options.ReplayFile ?? options.Scenario ?? "healthy"}). Ctrl-C stops it.");
            await ServeCommand.WaitForAsync(stop);
        }

        return ExitCodes.Done;
    }
}
