using System.Collections.Immutable;
using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace QwenProxy.Console.Setup;

/// <summary>Finds, replaces and removes single values in TOML text.</summary>
internal static class TomlKeys
{
    private sealed record Entry(string[] Path, int KeyStart, int Start, int End);

    private sealed record Table(string[] Path, int Start, int End);

    public static string? Get(string text, ImmutableArray<string> path) => Find(text, path) is { } entry ? text[entry.Start..entry.End] : null;

    public static string Replace(string text, ImmutableArray<string> path, string raw)
    {
        Entry entry = Find(text, path)!;
        return text[..entry.Start] + raw + text[entry.End..];
    }

    /// <summary>The line of a value goes, or that of the header of an empty table with an empty line before it.</summary>
    public static string Remove(string text, ImmutableArray<string> path)
    {
        if (Find(text, path) is { } entry) return Cut(text, entry.KeyStart, entry.End - 1);
        (_, List<Table> tables) = Read(text);
        Table? table = tables.Find(t => t.Path.AsSpan().SequenceEqual(path.AsSpan()));
        if (table is null) return text;
        string rest = Cut(text, table.Start, table.End);
        int start = text.LastIndexOf('\n', Math.Max(0, table.Start - 1)) + 1;
        if (!rest[..start].EndsWith("\n\n", StringComparison.Ordinal) && !rest[..start].EndsWith("\r\n\r\n", StringComparison.Ordinal)) return rest;
        return rest[..start].TrimEnd('\r', '\n') + SettingsText.NewLineOf(text) + rest[start..];
    }

    public static ImmutableArray<string>? Members(string text, ImmutableArray<string> path)
    {
        (List<Entry> entries, List<Table> tables) = Read(text);
        IEnumerable<string[]> all = entries.Select(e => e.Path).Concat(tables.Select(t => t.Path));
        string[] members = [.. all.Where(p => p.Length > path.Length && p.AsSpan(0, path.Length).SequenceEqual(path.AsSpan())).Select(p => p[path.Length]).Distinct()];
        bool exists = path.IsEmpty || members.Length > 0 || tables.Exists(t => t.Path.AsSpan().SequenceEqual(path.AsSpan()));
        return exists ? [.. members] : null;
    }

    private static Entry? Find(string text, ImmutableArray<string> path) => Read(text).Entries.Find(e => e.Path.AsSpan().SequenceEqual(path.AsSpan()));

    private static string Cut(string text, int from, int to)
    {
        int start = text.LastIndexOf('\n', Math.Max(0, from - 1)) + 1;
        if (from == 0) start = 0;
        return text.Remove(start, SettingsText.EndOfLine(text, to) - start);
    }

    private static (List<Entry> Entries, List<Table> Tables) Read(string text)
    {
        DocumentSyntax document = SyntaxParser.Parse(text, "", true);
        if (document.HasErrors)
        {
            DiagnosticMessage fault = document.Diagnostics.First(d => d.Kind == DiagnosticMessageKind.Error);
            throw new SettingsFault($"line {fault.Span.Start.Line + 1}: not TOML: {fault.Message}");
        }

        List<Entry> entries = [.. document.KeyValues.Select(e => EntryOf([], e))];
        List<Table> tables = [];
        foreach (TableSyntaxBase table in document.Tables)
        {
            string[] path = TomlSettings.Names(table.Name!);
            tables.Add(new Table(path, table.OpenBracket!.Span.Start.Offset, table.CloseBracket!.Span.End.Offset));
            if (table is TableSyntax) entries.AddRange(table.Items.OfType<KeyValueSyntax>().Select(e => EntryOf(path, e)));
        }

        return (entries, tables);
    }

    private static Entry EntryOf(string[] table, KeyValueSyntax entry) =>
        new([.. table, .. TomlSettings.Names(entry.Key!)], entry.Key!.Span.Start.Offset, entry.Value!.Span.Start.Offset, entry.Value.Span.End.Offset + 1);
}
