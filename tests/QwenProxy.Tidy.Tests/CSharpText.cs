using System.Text;
using System.Text.RegularExpressions;

namespace QwenProxy.Tidy.Tests;

/// <summary>Just enough C# to measure functions: text and comments are blanked out, then braces are counted.</summary>
internal static partial class CSharpText
{
    private static readonly string[] NotFunctions = ["if", "for", "foreach", "while", "switch", "using", "lock", "catch", "fixed", "when"];

    public readonly record struct Function(string Header, int Line, int Lines);

    /// <summary>Every block that follows a parameter list and is not inside another such block: methods, constructors, and lambdas of fields.</summary>
    public static IEnumerable<Function> Functions(string source)
    {
        string code = BlankOut(source);
        List<(int Start, string Header, bool IsFunction)> open = [];
        int statement = 0;
        for (int i = 0; i < code.Length; i++)
        {
            if (code[i] == '{')
            {
                string header = code[statement..i].Trim();
                open.Add((i, header, IsFunction(header)));
                statement = i + 1;
            }
            else if (code[i] == '}' && open.Count > 0)
            {
                (int start, string header, bool isFunction) = open[^1];
                open.RemoveAt(open.Count - 1);
                statement = i + 1;
                if (isFunction && !open.Any(o => o.IsFunction)) yield return new Function(header, LineOf(code, start), LineOf(code, i) - LineOf(code, start) + 1);
            }
            else if (code[i] == ';') statement = i + 1;
        }
    }

    /// <summary>Every constructor of a class, in its head or in its body, with the number of its parameters. Records are data and not counted.</summary>
    public static IEnumerable<(string Name, int Parameters)> Constructors(string source)
    {
        string code = BlankOut(source);
        foreach (Match match in ClassName().Matches(code))
        {
            string name = match.Groups[1].Value;
            foreach (Match list in Regex.Matches(code, $@"(?:\bclass {name}|(?:public|internal|private|protected) {name})(?:<[^(){{}}]*>)?\("))
            {
                yield return (name, CountParameters(code, list.Index + list.Length));
            }
        }
    }

    /// <summary>Counts what stands between commas up to the closing parenthesis, commas inside other brackets apart.</summary>
    private static int CountParameters(string code, int start)
    {
        int depth = 0;
        int commas = 0;
        for (int i = start; ; i++)
        {
            if (code[i] is '(' or '[' or '<' or '{') depth++;
            else if (code[i] == ')' && depth == 0) return code[start..i].Trim().Length == 0 ? 0 : commas + 1;
            else if (code[i] is ')' or ']' or '}' || (code[i] == '>' && code[i - 1] != '=')) depth--;
            else if (code[i] == ',' && depth == 0) commas++;
        }
    }

    private static int LineOf(string text, int position) => text.AsSpan(0, position).Count('\n') + 1;

    private static bool IsFunction(string header)
    {
        if (header.Contains(" class ", StringComparison.Ordinal) || header.Contains(" record ", StringComparison.Ordinal) || header.Contains(" struct ", StringComparison.Ordinal)) return false;
        int open = header.IndexOf('(', StringComparison.Ordinal);
        if (open < 0) return false;
        string word = header[..open].TrimEnd().Split(' ', '\n', '.').Last();
        return !NotFunctions.Contains(word);
    }

    /// <summary>Replaces comments, strings and characters by spaces, keeping line ends, so that braces inside them do not count.</summary>
    private static string BlankOut(string source)
    {
        StringBuilder code = new(source.Length);
        int i = 0;
        while (i < source.Length)
        {
            int end = SkipText(source, i);
            if (end == i)
            {
                code.Append(source[i++]);
                continue;
            }

            for (; i < end; i++) code.Append(source[i] == '\n' ? '\n' : ' ');
        }

        return code.ToString();
    }

    private static int SkipText(string source, int i)
    {
        ReadOnlySpan<char> rest = source.AsSpan(i);
        if (rest.StartsWith("//", StringComparison.Ordinal)) return To(source, i, "\n", 0);
        if (rest.StartsWith("/*", StringComparison.Ordinal)) return To(source, i + 2, "*/", 2);
        if (rest[0] == '\'') return SkipQuoted(source, i + 1, '\'', verbatim: false);
        int prefix = 0;
        while (prefix < rest.Length && rest[prefix] is '$' or '@') prefix++;
        if (prefix >= rest.Length || rest[prefix] != '"') return i;
        int quotes = 0;
        while (prefix + quotes < rest.Length && rest[prefix + quotes] == '"') quotes++;
        if (quotes >= 3) return To(source, i + prefix + quotes, new string('"', quotes), quotes);
        return SkipQuoted(source, i + prefix + 1, '"', verbatim: rest[..prefix].Contains('@'));
    }

    private static int SkipQuoted(string source, int i, char quote, bool verbatim)
    {
        for (; i < source.Length; i++)
        {
            if (source[i] == '\\' && !verbatim) i++;
            else if (source[i] == quote)
            {
                if (!verbatim || i + 1 >= source.Length || source[i + 1] != quote) return i + 1;
                i++;
            }
            else if (source[i] == '\n' && !verbatim) return i;
        }

        return source.Length;
    }

    private static int To(string source, int from, string mark, int keep)
    {
        int at = source.IndexOf(mark, Math.Min(from, source.Length), StringComparison.Ordinal);
        return at < 0 ? source.Length : at + keep;
    }

    [GeneratedRegex(@"\bclass (\w+)")]
    private static partial Regex ClassName();
}
