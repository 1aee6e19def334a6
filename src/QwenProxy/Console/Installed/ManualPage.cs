using System.CommandLine;
using System.Globalization;
using System.Text;

namespace QwenProxy.Console.Installed;

/// <summary>The man page, written from the command tree, so that it says what <c>--help</c> says. Section 1, in the troff macros of man(7).</summary>
internal static class ManualPage
{
    private static readonly (string Path, string What)[] s_files =
    [
        ("./qwen-proxy.json, $XDG_CONFIG_HOME/qwen-proxy/config.json", "The configuration, unless QWEN_PROXY_CONFIG names another file."),
        ("$XDG_DATA_HOME/qwen-proxy", "Ledger, state and captures, unless QWEN_PROXY_DATA names another folder."),
        ("~/.qwen", "Credentials, unless QWEN_HOME names another folder."),
    ];

    private static readonly (string Code, string What)[] s_exits =
    [
        ("0", "Done, or stopped by a signal after a clean drain."),
        ("1", "Failed at run time."),
        ("2", "What was asked for was not found, or a check did not pass."),
        ("64", "Bad command line or configuration; every fault was listed."),
    ];

    public static string Write(RootCommand root, Func<Command, string?> exampleOf, string version)
    {
        StringBuilder page = new();
        page.Append(CultureInfo.InvariantCulture, $".TH QWEN\\-PROXY 1 \"\" \"qwen\\-proxy {Escaped(version)}\" \"User commands\"\n");
        page.Append(".SH NAME\nqwen\\-proxy \\- proxy between coding agents and the services that serve Qwen models\n");
        page.Append(".SH SYNOPSIS\n.B qwen\\-proxy\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]\n");
        page.Append(CultureInfo.InvariantCulture, $".SH DESCRIPTION\n{Escaped(root.Description ?? "")} Without a command it runs the proxy.\n");
        page.Append(".SH OPTIONS\n");
        Options(page, root);
        page.Append(".SH COMMANDS\n");
        foreach (Command command in root.Subcommands.Where(c => !c.Hidden)) Describe(page, command, "qwen-proxy", exampleOf);
        page.Append(".SH FILES\n");
        foreach ((string path, string what) in s_files) Item(page, $"\\fI{Escaped(path)}\\fR", what);
        page.Append(".SH EXIT STATUS\n");
        foreach ((string code, string what) in s_exits) Item(page, code, what);
        return page.ToString();
    }

    private static void Describe(StringBuilder page, Command command, string before, Func<Command, string?> exampleOf)
    {
        string name = before + " " + command.Name;
        page.Append(CultureInfo.InvariantCulture, $".SS {Escaped(Synopsis(name, command))}\n{Escaped(command.Description ?? "")}.\n");
        foreach (Argument argument in command.Arguments.Where(a => !a.Hidden && !string.IsNullOrEmpty(a.Description)))
            Item(page, $"\\fI{Escaped(argument.Name)}\\fR", argument.Description!);
        Options(page, command);
        if (exampleOf(command) is { } example) page.Append(CultureInfo.InvariantCulture, $".PP\nExample:\n.B {Escaped(example)}\n");
        foreach (Command inner in command.Subcommands.Where(c => !c.Hidden)) Describe(page, inner, name, exampleOf);
    }

    private static string Synopsis(string name, Command command)
    {
        StringBuilder line = new(name);
        foreach (Argument argument in command.Arguments.Where(a => !a.Hidden))
        {
            string many = argument.Arity.MaximumNumberOfValues > 1 ? " ..." : "";
            line.Append(argument.Arity.MinimumNumberOfValues == 0 ? $" [{argument.Name}{many}]" : $" {argument.Name}{many}");
        }

        return line.ToString();
    }

    private static void Options(StringBuilder page, Command command)
    {
        foreach (Option option in command.Options.Where(o => !o.Hidden))
        {
            string names = string.Join(", ", option.Aliases.Prepend(option.Name).Select(n => $"\\fB{Escaped(n)}\\fR"));
            string value = option.HelpName is { Length: > 0 } word ? $" \\fI{Escaped(word)}\\fR" : "";
            Item(page, names + value, option.Description ?? "");
        }
    }

    private static void Item(StringBuilder page, string head, string text) => page.Append(CultureInfo.InvariantCulture, $".TP\n{head}\n{Escaped(text)}\n");

    /// <summary>A text as troff prints it: hyphens that can be copied, no line that reads as a request.</summary>
    private static string Escaped(string text)
    {
        string escaped = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal);
        return escaped.StartsWith('.') || escaped.StartsWith('\'') ? "\\&" + escaped : escaped;
    }
}
