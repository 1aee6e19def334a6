using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Reflection;
using System.Runtime.InteropServices;
using QwenProxy.Configuration;

namespace QwenProxy.Console;

/// <summary>Reads the command line and runs the command it names.</summary>
internal static class CommandLine
{
    /// <summary>A file name behind an @ is a name here, not a file with more arguments: prompts and keys may begin with one.</summary>
    private static readonly ParserConfiguration s_parsing = new() { ResponseFileTokenReplacer = null };

    /// <summary>Of this program, as in 0.1.0.</summary>
    public static string Version => typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "";

    public static RootCommand Build(CommandActions actions)
    {
        CommandTree tree = new(actions);
        foreach (Option option in tree.Root.Options)
        {
            if (option is HelpOption { Action: HelpAction help }) option.Action = new HelpWithExample(help, tree);
            if (option is VersionOption) option.Action = new PrintVersion();
        }

        return tree.Root;
    }

    public static ParseResult Parse(CommandActions actions, IReadOnlyList<string> arguments) => Build(actions).Parse(arguments, s_parsing);

    /// <summary>Runs to the end and gives the exit code. <paramref name="stop"/> is what asks a running command to come to an end.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, CommandActions actions, Terminal terminal, CancellationToken stop)
    {
        ParseResult result = Parse(actions, arguments);
        if (result.Action is ParseErrorAction) return TellErrors(result, terminal.Error);
        InvocationConfiguration invocation = new()
        {
            Output = terminal.Out,
            Error = terminal.Error,
            EnableDefaultExceptionHandler = false,

            // The library would kill the process two seconds after a signal, in the middle of a drain; signals come in by `stop`.
            ProcessTerminationTimeout = null,
        };
        try
        {
            return await result.InvokeAsync(invocation, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return ExitCodes.Done;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException or HttpRequestException)
        {
            // What is left is a defect, and its stack trace is worth more than a short message.
            await terminal.Error.WriteLineAsync("qwen-proxy: " + e.Message);
            return ExitCodes.Failed;
        }
    }

    private static int TellErrors(ParseResult result, TextWriter error)
    {
        foreach (string message in result.Errors.Select(e => e.Message).Distinct()) error.WriteLine(message);
        Command command = result.CommandResult.Command;
        IEnumerable<string> known = [.. command.Subcommands.Select(c => c.Name), .. command.Options.SelectMany(o => o.Aliases.Prepend(o.Name))];
        foreach (string token in result.UnmatchedTokens)
        {
            if (Spelling.Nearest(token, known) is { } nearest) error.WriteLine($"Instead of '{token}', did you mean '{nearest}'?");
        }

        string name = "";
        for (Command? at = command; at is not null and not RootCommand; at = at.Parents.OfType<Command>().FirstOrDefault()) name = $" {at.Name}{name}";
        error.WriteLine($"See qwen-proxy{name} --help.");
        return ExitCodes.BadUsage;
    }

    private sealed class HelpWithExample(HelpAction inner, CommandTree tree) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            int code = inner.Invoke(parseResult);
            if (tree.ExampleOf(parseResult.CommandResult.Command) is not { } example) return code;
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Example:");
            output.WriteLine("  " + example);
            output.WriteLine();
            return code;
        }
    }

    private sealed class PrintVersion : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            parseResult.InvocationConfiguration.Output.WriteLine($"qwen-proxy {Version} ({RuntimeInformation.FrameworkDescription})");
            return ExitCodes.Done;
        }
    }
}
