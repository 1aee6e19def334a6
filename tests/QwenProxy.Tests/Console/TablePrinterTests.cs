using QwenProxy.Console;

namespace QwenProxy.Tests.Console;

public sealed class TablePrinterTests
{
    private static readonly string[][] s_rows = [["a", "[red]1[/]"], ["long name", "2"]];

    private static string Print(bool isInteractive)
    {
        StringWriter output = new();
        TablePrinter.Print(new Terminal(output, TextWriter.Null) { IsInteractive = isInteractive }, ["NAME", "N"], s_rows);
        return output.ToString();
    }

    [Fact]
    public void Pipe_GetsAlignedColumns() =>
        Assert.Equal(string.Join(Environment.NewLine, "NAME       N", "a          [red]1[/]", "long name  2", ""), Print(isInteractive: false));

    [Fact]
    public void Terminal_GetsATableWithTextAsItIs()
    {
        string drawn = Print(isInteractive: true);
        Assert.Contains("[red]1[/]", drawn, StringComparison.Ordinal);
        Assert.Contains("long name", drawn, StringComparison.Ordinal);
        Assert.NotEqual(Print(isInteractive: false), drawn);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ControlCharacters_DoNotReachATerminal(bool isInteractive)
    {
        StringWriter output = new();
        TablePrinter.Print(new Terminal(output, TextWriter.Null) { IsInteractive = isInteractive }, ["NAME"], [["a\u001b]0;title\u0007b\nc\u009b2J"]]);
        Assert.Contains("a?]0;title?b?c?2J", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void WordsToAPerson_KeepLinesAndTabsOnly()
    {
        StringWriter output = new();
        using PlainWriter plain = new(output);
        plain.WriteLine("a\tb\nc\u001b[2J\u0000");
        plain.Write('\u0007');
        plain.WriteLine();
        Assert.Equal($"a\tb\nc?[2J?{Environment.NewLine}?{Environment.NewLine}", output.ToString());
    }

    [Fact]
    public void NoRows_LeaveTheHeader()
    {
        StringWriter output = new();
        TablePrinter.Print(new Terminal(output, TextWriter.Null), ["NAME", "N"], []);
        Assert.Equal("NAME  N" + Environment.NewLine, output.ToString());
    }
}
