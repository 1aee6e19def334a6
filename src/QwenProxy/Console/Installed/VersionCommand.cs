using QwenProxy.Observability;

namespace QwenProxy.Console.Installed;

internal sealed record VersionOptions(bool Json);

/// <summary><c>qwen-proxy version</c>: what to write into a bug report.</summary>
internal sealed class VersionCommand(Terminal terminal, ProgramVersion program)
{
    public Task<int> RunAsync(VersionOptions options, CancellationToken stop)
    {
        if (options.Json)
        {
            JsonPrinter.Print(terminal, json =>
            {
                json.WriteStartObject();
                json.WriteString("version", program.Version);
                json.WriteString("commit", program.Commit);
                json.WriteString("runtime", program.Runtime);
                json.WriteString("form", program.Form);
                json.WriteString("platform", program.Platform);
                json.WriteString("path", program.Path);
                json.WriteEndObject();
            });
        }
        else
        {
            string commit = program.Commit.Length > 12 ? ", commit " + program.Commit[..12] : "";
            terminal.Out.WriteLine($"qwen-proxy {program.Version} ({program.Runtime}, {program.Form}, {program.Platform}{commit})");
        }

        return Task.FromResult(ExitCodes.Done);
    }
}
