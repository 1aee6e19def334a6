using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace QwenProxy.Observability;

/// <summary>Which program this is and how it came here.</summary>
/// <param name="Version">As the release is called: <c>1.2.3</c>, or <c>1.3.0-dev</c> between two releases.</param>
/// <param name="Commit">The whole commit hash; empty where the source was no checkout.</param>
/// <param name="Runtime">The .NET runtime: the one it was compiled with in a native binary, else the one it runs on.</param>
/// <param name="Form">native, self-contained or framework-dependent.</param>
/// <param name="Platform">The runtime identifier, such as linux-x64.</param>
/// <param name="Path">The program's file with all links followed; empty where it cannot be told.</param>
internal sealed record ProgramVersion(string Version, string Commit, string Runtime, string Form, string Platform, string Path)
{
    public static ProgramVersion OfThis()
    {
        string full = typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
        (string version, string commit) = full.Split('+', 2) is [var number, var hash] ? (number, hash) : (full, "");
        return new ProgramVersion(version, commit, RuntimeInformation.FrameworkDescription, FormOfThis(), RuntimeInformation.RuntimeIdentifier, PathOfThis());
    }

    /// <summary>Who put the file where it is, told by its place: the one to ask for another version.</summary>
    public InstallWay InstalledBy()
    {
        string path = Path.Replace('\\', '/');
        if (path.Contains("/node_modules/", StringComparison.Ordinal)) return InstallWay.Npm;
        if (path.Contains("/.store/", StringComparison.Ordinal)) return InstallWay.DotnetTool;
        if (path.StartsWith("/usr/lib/", StringComparison.Ordinal)) return InstallWay.DebianPackage;
        if (path.StartsWith("/opt/qwen-proxy/", StringComparison.Ordinal)) return InstallWay.Container;
        return path.EndsWith("/lib/qwen-proxy/qwen-proxy", StringComparison.Ordinal) ? InstallWay.InstallScript : InstallWay.ByHand;
    }

    private static string FormOfThis()
    {
        if (!RuntimeFeature.IsDynamicCodeSupported) return "native";
        // A program that brings its runtime has the core library beside it or inside its one file; else it is the machine's.
        return RuntimeEnvironment.GetRuntimeDirectory().TrimEnd(System.IO.Path.DirectorySeparatorChar) is { Length: > 0 } runtime
            && System.IO.Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory) != runtime
                ? "framework-dependent"
                : "self-contained";
    }

    private static string PathOfThis()
    {
        if (Environment.ProcessPath is not { } path) return "";
        // `dotnet qwen-proxy.dll` runs in dotnet's process; the program is the assembly.
        if (System.IO.Path.GetFileNameWithoutExtension(path) == "dotnet") return System.IO.Path.Combine(AppContext.BaseDirectory, "qwen-proxy.dll");
        try
        {
            return File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        }
        catch (IOException)
        {
            return path;
        }
    }
}

internal enum InstallWay
{
    ByHand,
    InstallScript,
    DebianPackage,
    Npm,
    DotnetTool,
    Container,
}
