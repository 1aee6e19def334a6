namespace QwenProxy.Console;

/// <summary>Where commands write: data for machines and pipes to <see cref="Out"/>, everything said to a person to <see cref="Error"/>.</summary>
internal sealed record Terminal(TextWriter Out, TextWriter Error)
{
    /// <summary>True when <see cref="Out"/> is a terminal, so that boxes and colour are welcome.</summary>
    public bool IsInteractive { get; init; }

    public static Terminal FromProcess() =>
        new(System.Console.Out, new PlainWriter(System.Console.Error)) { IsInteractive = !System.Console.IsOutputRedirected };
}
