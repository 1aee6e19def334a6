using QwenProxy.Observability;
using Spectre.Console;

namespace QwenProxy.Console;

/// <summary>Prints rows: a drawn table on a terminal, plain aligned columns for a pipe, where <c>grep</c> and <c>awk</c> wait.</summary>
internal static class TablePrinter
{
    private const string Gap = "  ";

    public static void Print(Terminal terminal, IReadOnlyList<string> headers, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        // Cells hold names and words of others, and a terminal obeys control characters.
        rows = [.. rows.Select(row => row.Select(PrintableText.Plain).ToArray())];
        if (terminal.IsInteractive) Draw(terminal.Out, headers, rows);
        else Align(terminal.Out, headers, rows);
    }

    private static void Draw(TextWriter output, IReadOnlyList<string> headers, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        Table table = new() { Border = TableBorder.Rounded };

        // The first column is the name of the row: it is what people copy, so it is never broken in two.
        foreach ((int i, string header) in headers.Index()) table.AddColumn(new TableColumn(new Text(header)) { NoWrap = i == 0 });

        // Text, not markup: a value with square brackets is a value.
        foreach (IReadOnlyList<string> row in rows) table.AddRow(row.Select(cell => new Text(cell)));
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) }).Write(table);
    }

    private static void Align(TextWriter output, IReadOnlyList<string> headers, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        int[] widths = [.. headers.Select((header, i) => rows.Select(r => r[i].Length).Append(header.Length).Max())];
        foreach (IReadOnlyList<string> row in rows.Prepend(headers))
        {
            IEnumerable<string> cells = row.Select((cell, i) => i == row.Count - 1 ? cell : cell.PadRight(widths[i]));
            output.WriteLine(string.Join(Gap, cells).TrimEnd());
        }
    }
}
