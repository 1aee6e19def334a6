using System.Text.RegularExpressions;
using QwenProxy.Observability;

namespace QwenProxy.Console.Installed;

internal sealed record UpdateOptions(bool Json);

/// <summary>
/// <c>qwen-proxy update --check</c>: reads the newest release's list of files, compares its number with this program's, and says how the one that
/// installed it takes a newer one. It asks only when told to, and it never writes a file: what a package manager installed is the package manager's.
/// </summary>
internal sealed partial class UpdateCommand(Terminal terminal, ProgramVersion program, Func<string, string?> variable)
{
    private const string DefaultReleases = "https://github.com/qwen-proxy/qwen-proxy/releases";
    private const int MaxListBytes = 256 * 1024;

    public async Task<int> RunAsync(UpdateOptions options, CancellationToken stop)
    {
        string releases = variable("QWEN_PROXY_RELEASES") is { Length: > 0 } set ? set.TrimEnd('/') : DefaultReleases;
        if (!Uri.TryCreate(releases + "/latest/download/SHA256SUMS", UriKind.Absolute, out Uri? list)
            || (list.Scheme != Uri.UriSchemeHttps && !(list.Scheme == Uri.UriSchemeHttp && list.IsLoopback)))
        {
            terminal.Error.WriteLine($"QWEN_PROXY_RELEASES is \"{releases}\"; it must be an https address.");
            return ExitCodes.BadUsage;
        }

        if (await NewestAsync(list, stop) is not { } newest) return ExitCodes.Failed;
        bool isNewer = IsNewer(newest, program.Version);
        string advice = isNewer ? Advice(program.InstalledBy(), newest) : "";
        if (options.Json)
        {
            JsonPrinter.Print(terminal, json =>
            {
                json.WriteStartObject();
                json.WriteString("version", program.Version);
                json.WriteString("newest", newest);
                json.WriteBoolean("update", isNewer);
                if (isNewer) json.WriteString("how", advice);
                json.WriteEndObject();
            });
        }
        else
        {
            terminal.Out.WriteLine(isNewer ? $"{newest} is out; this is {program.Version}. {advice}" : $"{program.Version} is the newest release.");
        }

        return ExitCodes.Done;
    }

    /// <summary>By the three numbers; a development version comes before the release it leads to.</summary>
    internal static bool IsNewer(string newest, string mine)
    {
        if (!Version.TryParse(newest.Split('-')[0], out Version? theirs) || !Version.TryParse(mine.Split('-')[0], out Version? ours)) return false;
        return theirs > ours || (theirs == ours && mine.Contains('-') && !newest.Contains('-'));
    }

    private static string Advice(InstallWay way, string version) => way switch
    {
        InstallWay.DebianPackage => $"Take it with: sudo apt install ./qwen-proxy_{version}_$(dpkg --print-architecture).deb",
        InstallWay.Npm => "Take it with: npm install -g qwen-proxy@latest",
        InstallWay.DotnetTool => "Take it with: dotnet tool update -g QwenProxy",
        InstallWay.Container => "Take it by building or pulling the image again.",
        InstallWay.InstallScript => "Take it by running install.sh again.",
        _ => "Take it as you took this one.",
    };

    private async Task<string?> NewestAsync(Uri list, CancellationToken stop)
    {
        using HttpClient http = new() { Timeout = TimeSpan.FromSeconds(15), MaxResponseContentBufferSize = MaxListBytes };
        http.DefaultRequestHeaders.UserAgent.ParseAdd("qwen-proxy/" + program.Version);
        try
        {
            if (Archive().Match(await http.GetStringAsync(list, stop)) is { Success: true } found) return found.Groups[1].Value;
            terminal.Error.WriteLine($"{list} names no release. Look at the project's page instead.");
        }
        catch (Exception failure) when (failure is HttpRequestException || (failure is OperationCanceledException && !stop.IsCancellationRequested))
        {
            terminal.Error.WriteLine($"Could not ask {list.Host} for the newest release: {failure.Message}");
        }

        return null;
    }

    [GeneratedRegex("""^[0-9a-f]{64}  qwen-proxy-([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+?)?)-(?:linux|osx|win)-""", RegexOptions.Multiline)]
    private static partial Regex Archive();
}
