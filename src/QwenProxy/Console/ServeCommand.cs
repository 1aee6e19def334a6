using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Hosting;
using QwenProxy.Observability;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy serve</c>: runs the proxy until a signal.</summary>
internal sealed partial class ServeCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, StopSignals signals)
{
    public async Task<int> RunAsync(ServeOptions options, CancellationToken stop)
    {
        ConfigurationSources sources = sourcesOf(options.Flags);
        ConfigurationResult loaded = ConfigurationLoader.Load(sources);
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        // Nobody has signed in and there is a person to ask: as the first start of the original did, begin with the login.
        if (snapshot.Storage.Database is null && snapshot.Accounts.IsEmpty && snapshot.DisabledAccounts.IsEmpty && terminal.IsInteractive && !System.Console.IsInputRedirected)
        {
            terminal.Error.WriteLine("There is no account yet, so this begins with a sign-in. To use an API key instead, stop it (Ctrl-C) and set DASHSCOPE_API_KEY.");
            int signedIn = await Credentials.LoginCommand.RunAsync(SignInCommands.OptionsFor(null, json: false, snapshot.Storage), terminal.Out, terminal.Error, stop);
            if (stop.IsCancellationRequested) return ExitCodes.Done;
            if (signedIn == ExitCodes.Done) loaded = ConfigurationLoader.Load(sources);
            snapshot = loaded.Snapshot ?? snapshot;
        }

        List<string> faults = [];
        OtlpSettings telemetry = OtlpSettings.Read(sources.Variable, faults);
        foreach (string fault in faults) terminal.Error.WriteLine(fault);
        if (faults.Count > 0) return ExitCodes.BadUsage;
        using OtlpExport? export = OtlpExport.Start(telemetry);
        using ILoggerFactory loggers = Logging.Create(snapshot, !System.Console.IsErrorRedirected, out Action reopenLogs);
        ILogger logger = loggers.CreateLogger("QwenProxy");
        ProxyRuntime runtime = new(snapshot, loggers, TimeProvider.System, new Random());
        ProxyServer server;
        try
        {
            server = await ProxyServer.StartAsync(runtime, stop);
        }
        catch (Exception failure) when (ListenProblem.Is(failure))
        {
            terminal.Error.WriteLine(await ListenProblem.TellAsync("qwen-proxy", snapshot.Host, snapshot.Port, failure, stop));
            await runtime.DisposeAsync();
            return ExitCodes.Failed;
        }

        await using (server)
        {
            using ConfigurationWatcher watcher = new(sources, loaded, TimeProvider.System, logger);
            watcher.Changed += runtime.Apply;
            watcher.Refused += runtime.Refuse;
            using QuietCollector collector = new(TimeProvider.System);
            signals.Reload = () =>
            {
                reopenLogs();
                watcher.LookAgain();
            };
            TellStart(logger, runtime, server.Address, loaded);
            using ServiceNotice? notice = ServiceNotice.From(sources.Variable, TimeProvider.System);
            notice?.Ready();
            await WaitForAsync(stop);
            signals.Reload = () => { };
            notice?.Stopping();
            terminal.Error.WriteLine($"Stopping; running requests may finish for {runtime.Snapshot.Timeouts.Drain.TotalSeconds:0} s.");
            await server.StopAsync();
        }

        return ExitCodes.Done;
    }

    /// <summary>Completes when the token is cancelled.</summary>
    internal static async Task WaitForAsync(CancellationToken stop)
    {
        TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration = stop.Register(() => stopped.TrySetResult());
        await stopped.Task;
    }

    /// <summary>
    /// Four lines for a person, then what differs from the defaults; one event for a log. Where the whole configuration is wanted, <c>config</c> shows it.
    /// </summary>
    private void TellStart(ILogger logger, ProxyRuntime runtime, Uri address, ConfigurationResult loaded)
    {
        string[] accounts = [.. runtime.States.All().Select(s => $"{s.Key.Name} ({s.Value.Says})")];
        string[] changed = [.. loaded.Values.Where(v => v.Origin != "default").Select(v => $"{v.Path} = {v.Value} ({v.Origin})")];
        LogStarted(logger, address, new Uri(address, "v1"), CommandLine.Version, accounts, changed);
        if (System.Console.IsErrorRedirected) return;
        terminal.Error.WriteLine($"Qwen Proxy {CommandLine.Version}");
        terminal.Error.WriteLine($"Clients: {new Uri(address, "v1")} (OpenAI), {address.GetLeftPart(UriPartial.Authority)} (Anthropic)");
        terminal.Error.WriteLine($"Page: {address}");
        terminal.Error.WriteLine($"Accounts: {(accounts.Length == 0 ? runtime.Readiness.Obstacle() : string.Join(", ", accounts))}");
        foreach (string line in changed) terminal.Error.WriteLine("  " + line);
    }

    [LoggerMessage(EventId = TerminalLogger.StartEvent, Level = LogLevel.Information, Message = "Qwen Proxy listens on {address} — point your client at {baseUrl} (version {version}; accounts: {accounts}; configured: {configuration})")]
    private static partial void LogStarted(ILogger logger, Uri address, Uri baseUrl, string version, string[] accounts, string[] configuration);
}
