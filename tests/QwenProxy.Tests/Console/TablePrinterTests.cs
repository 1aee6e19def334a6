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

    [Fact]
    public void NoRows_LeaveTheHeader()
    {
        StringWriter output = new();
        TablePrinter.Print(new Terminal(output, TextWriter.Null), ["NAME", "N"], []);
        Assert.Equal("NAME  N" + Environment.NewLine, output.ToString());
    }
}
