using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using QwenProxy.Credentials;

namespace QwenProxy.Console.Setup;

/// <summary>An agent as a child of this program, on the same terminal.</summary>
internal static class AgentProcess
{
    private const int Terminate = 15;

    /// <summary>Runs it to its end and gives its exit code; null when there is no such program.</summary>
    public static async Task<int?> RunAsync(AgentLaunch launch, IReadOnlyList<string> arguments)
    {
        string? folder = null;
        try
        {
            ProcessStartInfo start = new(launch.Program) { UseShellExecute = false };
            foreach (string argument in launch.Arguments) start.ArgumentList.Add(argument);
            foreach ((string name, string value) in launch.Variables) start.Environment[name] = value;
            if (launch.SettingsText is { } text)
            {
                // Private to its owner, as the key in it has to be.
                folder = Directory.CreateTempSubdirectory("qwen-proxy-run-").FullName;
                string file = Path.Combine(folder, launch.SettingsName);
                new DurableFiles().WriteNew(file, System.Text.Encoding.UTF8.GetBytes(text));
                if (launch.SettingsVariable is { } variable) start.Environment[variable] = file;
                else start.ArgumentList.Add(file);
            }

            foreach (string argument in arguments) start.ArgumentList.Add(argument);
            return await RunAsync(start);
        }
        finally
        {
            if (folder is not null) Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<int?> RunAsync(ProcessStartInfo start)
    {
        Process? process = null;
        // Ctrl-C is meant for the agent, which has got it from the terminal itself. What asks only this program to end is passed on.
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);
        using PosixSignalRegistration quit = PosixSignalRegistration.Create(PosixSignal.SIGQUIT, context => context.Cancel = true);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            if (process is { HasExited: false }) _ = Kill(process.Id, Terminate);
        });
        try
        {
            process = Process.Start(start);
        }
        catch (Win32Exception)
        {
            return null;
        }

        using (process)
        {
            await process!.WaitForExitAsync(CancellationToken.None);
            return process.ExitCode;
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
