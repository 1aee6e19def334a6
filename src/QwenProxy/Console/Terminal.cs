using System.Text;

namespace QwenProxy.Console;

/// <summary>Where commands write: data for machines and pipes to <see cref="Out"/>, everything said to a person to <see cref="Error"/>.</summary>
internal sealed record Terminal(TextWriter Out, TextWriter Error)
{
    /// <summary>True when <see cref="Out"/> is a terminal, so that boxes and colour are welcome.</summary>
    public bool IsInteractive { get; init; }

    /// <summary>Asks for something that is not shown while it is typed; null where nobody is there to type.</summary>
    public Func<string, string?>? ReadSecret { get; init; }

    public static Terminal FromProcess() => new(System.Console.Out, new PlainWriter(System.Console.Error))
    {
        IsInteractive = !System.Console.IsOutputRedirected,
        ReadSecret = System.Console.IsInputRedirected || System.Console.IsErrorRedirected ? null : ReadHidden,
    };

    /// <summary>The question goes to stderr: stdout may be read by a shell.</summary>
    private static string ReadHidden(string question)
    {
        System.Console.Error.Write(question);
        StringBuilder typed = new();
        while (System.Console.ReadKey(intercept: true) is { Key: not ConsoleKey.Enter } key)
        {
            if (key.Key != ConsoleKey.Backspace) typed.Append(key.KeyChar);
            else if (typed.Length > 0) typed.Length--;
        }

        System.Console.Error.WriteLine();
        return typed.ToString();
    }
}
