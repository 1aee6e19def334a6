namespace QwenProxy.Console.Installed;

internal enum ServiceAction
{
    Install,
    Uninstall,
    Status,
}

internal sealed record ServiceOptions(ServiceAction Action);

/// <summary>
/// <c>qwen-proxy service</c>: the proxy as a service of the person's own session, without root: a systemd user unit on Linux, a launchd agent on
/// macOS. A machine's service comes with the Debian package.
/// </summary>
internal sealed class ServiceCommand(Terminal terminal, ServiceHome home)
{
    public async Task<int> RunAsync(ServiceOptions options, CancellationToken stop)
    {
        if (home.File is not { } file)
        {
            terminal.Error.WriteLine("qwen-proxy service knows systemd (Linux) and launchd (macOS). Elsewhere start `qwen-proxy serve` by the system's own means; on Windows that is the Task Scheduler.");
            return ExitCodes.Failed;
        }

        return options.Action switch
        {
            ServiceAction.Install => await InstallAsync(file, stop),
            ServiceAction.Uninstall => await UninstallAsync(file, stop),
            _ => await StatusAsync(file, stop),
        };
    }

    private async Task<int> InstallAsync(string file, CancellationToken stop)
    {
        if (home.Program is not { } program)
        {
            terminal.Error.WriteLine("This program was started by `dotnet run` or `dotnet qwen-proxy.dll`, which is no lasting place. Install it first (docs/install.md), then run `qwen-proxy service install` from there.");
            return ExitCodes.Failed;
        }

        if (File.Exists(file) && !IsOurs(file))
        {
            terminal.Error.WriteLine($"{file} is there and was not written by this program; nothing was changed. Move it away and try again.");
            return ExitCodes.Failed;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        string staged = file + ".new";
        await File.WriteAllTextAsync(staged, home.Text(program), stop);
        File.Move(staged, file, overwrite: true);
        terminal.Error.WriteLine($"Wrote {file}");
        foreach (string[] command in home.StartCommands)
        {
            if (await home.RunAsync(command, stop) is { } refused) return Refused(command, refused, "The file is written; the service was not started.");
        }

        terminal.Error.WriteLine($"It runs and starts at every login. Its keys: {home.KeysHint}");
        return ExitCodes.Done;
    }

    private async Task<int> UninstallAsync(string file, CancellationToken stop)
    {
        if (!File.Exists(file))
        {
            terminal.Error.WriteLine($"The service is not installed: {file} is not there.");
            return ExitCodes.NotFound;
        }

        if (!IsOurs(file))
        {
            terminal.Error.WriteLine($"{file} was not written by this program; nothing was changed.");
            return ExitCodes.Failed;
        }

        // A session without a service manager has nothing that runs; the file goes all the same.
        foreach (string[] command in home.StopCommands)
        {
            if (await home.RunAsync(command, stop) is { } refused) terminal.Error.WriteLine($"`{string.Join(' ', command)}`: {refused}");
        }

        File.Delete(file);
        foreach (string[] command in home.ForgetCommands) await home.RunAsync(command, stop);
        terminal.Error.WriteLine($"Stopped, and {file} is gone. Settings, credentials and the ledger are still there.");
        return ExitCodes.Done;
    }

    private async Task<int> StatusAsync(string file, CancellationToken stop)
    {
        if (!File.Exists(file))
        {
            terminal.Out.WriteLine("not installed");
            return ExitCodes.NotFound;
        }

        string? refused = await home.RunAsync(home.AskCommand, stop);
        terminal.Out.WriteLine(refused is null ? "installed and running" : "installed, not running");
        if (refused is not null) terminal.Error.WriteLine($"Start it: {string.Join(' ', home.StartCommands[^1])}");
        return refused is null ? ExitCodes.Done : ExitCodes.NotFound;
    }

    private int Refused(string[] command, string why, string state)
    {
        terminal.Error.WriteLine($"`{string.Join(' ', command)}` failed: {why}");
        terminal.Error.WriteLine($"{state} Run that command yourself once this session has a service manager.");
        return ExitCodes.Failed;
    }

    private static bool IsOurs(string file) => File.ReadAllText(file).Contains("qwen-proxy service install", StringComparison.Ordinal);
}
