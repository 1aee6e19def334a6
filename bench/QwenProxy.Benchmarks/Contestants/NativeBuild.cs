using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace QwenProxy.Benchmarks.Contestants;

/// <summary>The released form of the source tree that this benchmark was built from.</summary>
internal static class NativeBuild
{
    /// <summary>Builds the native binary, which takes a minute or two where something changed. Gives its path.</summary>
    public static async Task<string> MakeAsync([CallerFilePath] string here = "")
    {
        string root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
        string folder = Path.Combine(root, "artifacts", "bench");
        System.Console.Error.WriteLine("building the native binary");
        ProcessStartInfo publish = new("dotnet", ["publish", Path.Combine(root, "src", "QwenProxy"), "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier, "-o", folder, "-v", "q"]);
        using Process process = Process.Start(publish)!;
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException("The native binary could not be built; see above. With --binary FILE another one is measured.");
        return Path.Combine(folder, "qwen-proxy");
    }
}
