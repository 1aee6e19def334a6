using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using System.Security;
using QwenProxy.Observability;

namespace QwenProxy.Console.Installed;

/// <summary>Where this system keeps a person's services, what their file says, and the commands that start, stop and ask.</summary>
internal sealed class ServiceHome
{
    private const string Unit = "qwen-proxy.service";

    /// <summary>The service's file; null on a system whose services are not known here.</summary>
    public string? File { get; private init; }

    /// <summary>The program's lasting place; null when it has none.</summary>
    public string? Program { get; private init; }

    public string KeysHint { get; private init; } = "";

    public string[][] StartCommands { get; private init; } = [];

    public string[][] StopCommands { get; private init; } = [];

    /// <summary>After the file is gone.</summary>
    public string[][] ForgetCommands { get; private init; } = [];

    /// <summary>Succeeds while the service runs.</summary>
    public string[] AskCommand { get; private init; } = [];

    private string Template { get; init; } = "";

    private string LogFile { get; init; } = "";

    private string Form { get; init; } = "";

    public static ServiceHome OfThisPerson(ProgramVersion program, Func<string, string?> variable)
    {
        string home = variable("HOME") is { Length: > 0 } set ? set : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        // The link on the PATH stays the same over an update; the file behind it need not.
        string? started = program.Path.EndsWith(".dll", StringComparison.Ordinal) || program.Path.Length == 0 ? null : Environment.ProcessPath;
        if (OperatingSystem.IsMacOS()) return Launchd(home, started, program.Form);
        return OperatingSystem.IsLinux() ? Systemd(home, started, program.Form, variable) : new ServiceHome();
    }

    public string Text(string program) => Template
        .Replace("@PROGRAM@", Template.StartsWith("<?xml", StringComparison.Ordinal) ? SecurityElement.Escape(program) : Quoted(program), StringComparison.Ordinal)
        .Replace("@LOG@", SecurityElement.Escape(LogFile), StringComparison.Ordinal)
        // Code that is compiled while it runs has to be written somewhere executable.
        .Replace("@NATIVE@", Form == "native" ? "yes" : "no", StringComparison.Ordinal);

    /// <summary>Runs a command of the system's. Null when it succeeded, else what it said.</summary>
    public async Task<string?> RunAsync(string[] command, CancellationToken stop)
    {
        ProcessStartInfo start = new(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(stop);
            string error = await process.StandardError.ReadToEndAsync(stop);
            string said = (error + await output).Trim();
            await process.WaitForExitAsync(stop);
            return process.ExitCode == 0 ? null : said.Length > 0 ? said : $"exit code {process.ExitCode}";
        }
        catch (Win32Exception missing)
        {
            return $"{command[0]} could not be started: {missing.Message}";
        }
    }

    private static ServiceHome Systemd(string home, string? program, string form, Func<string, string?> variable)
    {
        string settings = variable("XDG_CONFIG_HOME") is { Length: > 0 } set ? set : Path.Combine(home, ".config");
        return new ServiceHome
        {
            File = Path.Combine(settings, "systemd", "user", Unit),
            Program = program,
            Form = form,
            Template = Resource("qwen-proxy-user.service"),
            KeysHint = $"{Path.Combine(settings, "qwen-proxy", "environment")}, one NAME=value a line; then systemctl --user restart qwen-proxy",
            StartCommands = [["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", "--now", Unit]],
            StopCommands = [["systemctl", "--user", "disable", "--now", Unit]],
            ForgetCommands = [["systemctl", "--user", "daemon-reload"]],
            AskCommand = ["systemctl", "--user", "is-active", "--quiet", Unit],
        };
    }

    private static ServiceHome Launchd(string home, string? program, string form)
    {
        string file = Path.Combine(home, "Library", "LaunchAgents", "qwen-proxy.plist");
        return new ServiceHome
        {
            File = file,
            Program = program,
            Form = form,
            Template = Resource("qwen-proxy.plist"),
            LogFile = Path.Combine(home, "Library", "Logs", "qwen-proxy.log"),
            KeysHint = "in the configuration file, as \"apiKey\": \"file:PATH\"",
            StartCommands = [["launchctl", "load", "-w", file]],
            StopCommands = [["launchctl", "unload", "-w", file]],
            AskCommand = ["launchctl", "list", "qwen-proxy"],
        };
    }

    /// <summary>A path as systemd reads it: quoted, with its own signs taken literally.</summary>
    private static string Quoted(string path) =>
        "\"" + path.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("%", "%%", StringComparison.Ordinal).Replace("$", "$$", StringComparison.Ordinal) + "\"";

    private static string Resource(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
