using System.Text.RegularExpressions;

namespace QwenProxy.Console.Setup;

/// <summary>Shows what changes between two texts, line by line, with keys and tokens as <c>***</c>.</summary>
internal static partial class TextDifference
{
    /// <summary>Removed lines begin with <c>-</c>, added ones with <c>+</c>; each group is headed by the line it stands at.</summary>
    public static IEnumerable<string> Of(string before, string after)
    {
        string[] old = Lines(before);
        string[] fresh = Lines(after);
        int[,] common = CommonLengths(old, fresh);
        int i = 0;
        int j = 0;
        bool inGroup = false;
        while (i < old.Length || j < fresh.Length)
        {
            if (i < old.Length && j < fresh.Length && old[i] == fresh[j])
            {
                inGroup = false;
                i++;
                j++;
                continue;
            }

            if (!inGroup) yield return $"@@ line {j + 1} @@";
            inGroup = true;
            bool isRemoval = j == fresh.Length || (i < old.Length && common[i + 1, j] >= common[i, j + 1]);
            yield return isRemoval ? "-" + Mask(old[i++]) : "+" + Mask(fresh[j++]);
        }
    }

    /// <summary>Replaces what stands behind the name of a key, token, secret or password.</summary>
    public static string Mask(string text) => SecretValue().Replace(text, match =>
    {
        string value = match.Groups[2].Value;
        string quote = value[0] is '"' or '\'' ? value[..1] : "";
        return value.Trim('"', '\'') == AgentTarget.NoKey ? match.Value : $"{match.Groups[1].Value}{quote}***{quote}";
    });

    private static string[] Lines(string text) => text.Length == 0 ? [] : text.TrimEnd('\n').Split('\n');

    private static int[,] CommonLengths(string[] old, string[] fresh)
    {
        int[,] common = new int[old.Length + 1, fresh.Length + 1];
        for (int i = old.Length - 1; i >= 0; i--)
        {
            for (int j = fresh.Length - 1; j >= 0; j--)
                common[i, j] = old[i] == fresh[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
        }

        return common;
    }

    [GeneratedRegex("""((?:key|token|secret|password|authorization)["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}"']+)""", RegexOptions.IgnoreCase)]
    private static partial Regex SecretValue();
}
