using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace QwenProxy.Console.Setup;

/// <summary>Edits TOML. Where the values stand is Tomlyn's word; the text between them is never touched.</summary>
internal static class TomlSettings
{
    private sealed record Entry(string[] Path, int Start, int End);

    public static string Set(string text, SettingWish wish)
    {
        DocumentSyntax document = SyntaxParser.Parse(text, "", true);
        if (document.HasErrors)
        {
            DiagnosticMessage fault = document.Diagnostics.First(d => d.Kind == DiagnosticMessageKind.Error);
            throw new SettingsFault($"line {fault.Span.Start.Line + 1}: not TOML: {fault.Message}");
        }

        string[] path = [.. wish.Path];
        List<Entry> top = [.. document.KeyValues.Select(e => EntryOf([], e))];
        List<Entry> all = [.. top];
        foreach (TableSyntaxBase table in document.Tables.Where(t => t is TableSyntax)) all.AddRange(table.Items.OfType<KeyValueSyntax>().Select(e => EntryOf(Names(table.Name!), e)));
        if (all.Find(e => e.Path.SequenceEqual(path)) is { } there)
        {
            bool isSame = text[there.Start..there.End] == wish.Value;
            return isSame || wish.OnlyIfMissing ? text : text[..there.Start] + wish.Value + text[there.End..];
        }

        RefuseOtherForms(path, all, document);
        string line = $"{path[^1]} = {wish.Value}\n";
        if (path.Length == 1) return InsertTop(text, top, line);
        if (document.Tables.FirstOrDefault(t => t is TableSyntax && Names(t.Name!).AsSpan().SequenceEqual(path.AsSpan(..^1))) is not { } home)
            return Append(text, $"[{string.Join('.', path[..^1])}]\n{line}");
        KeyValueSyntax? last = home.Items.OfType<KeyValueSyntax>().LastOrDefault();
        int at = last is null ? home.CloseBracket!.Span.End.Offset : last.Value!.Span.End.Offset;
        return SettingsText.InsertLines(text, SettingsText.EndOfLine(text, at), line);
    }

    /// <summary>The same table as dotted keys, as an inline table or as a list is good TOML that a second header would break.</summary>
    private static void RefuseOtherForms(string[] path, List<Entry> all, DocumentSyntax document)
    {
        string[] table = path[..^1];
        bool isHeader = document.Tables.Any(t => t is TableSyntax && Names(t.Name!).SequenceEqual(table));
        bool isList = document.Tables.Any(t => t is TableArraySyntax && StartsWith(path, Names(t.Name!)));
        bool isInline = all.Exists(e => StartsWith(path, e.Path));
        bool isDotted = table.Length > 0 && !isHeader && all.Exists(e => e.Path.Length > table.Length && StartsWith(e.Path, table) && !HasHeader(document, e, table));
        if (isList || isInline || isDotted)
            throw new SettingsFault($"{string.Join('.', table.Length > 0 ? table : path)} is written there in another form; write it as a table, [{string.Join('.', table)}], or remove it");
    }

    private static bool HasHeader(DocumentSyntax document, Entry entry, string[] table) =>
        document.Tables.Any(t => Names(t.Name!) is { } names && names.Length > table.Length && StartsWith(entry.Path, names));

    private static bool StartsWith(string[] path, string[] beginning) => path.Length >= beginning.Length && path.AsSpan(0, beginning.Length).SequenceEqual(beginning);

    private static string InsertTop(string text, List<Entry> top, string line)
    {
        if (top.Count > 0) return SettingsText.InsertLines(text, SettingsText.EndOfLine(text, top[^1].End - 1), line);
        return SettingsText.InsertLines(text, 0, text.Length == 0 || text[0] is '\n' or '\r' ? line : line + "\n");
    }

    private static string Append(string text, string lines)
    {
        bool isApart = text.Length == 0 || text.EndsWith("\n\n", StringComparison.Ordinal) || text.EndsWith("\r\n\r\n", StringComparison.Ordinal);
        return SettingsText.InsertLines(text, text.Length, isApart ? lines : "\n" + lines);
    }

    private static Entry EntryOf(string[] table, KeyValueSyntax entry) =>
        new([.. table, .. Names(entry.Key!)], entry.Value!.Span.Start.Offset, entry.Value.Span.End.Offset + 1);

    internal static string[] Names(KeySyntax key) => [NameOf(key.Key!), .. key.DotKeys.Select(d => NameOf(d.Key!))];

    private static string NameOf(BareKeyOrStringValueSyntax key) => key is StringValueSyntax text ? text.Value! : ((BareKeySyntax)key).Key!.Text!;
}
