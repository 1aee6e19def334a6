using System.Text;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>Texts of our own making: prose in three languages from word lists, code from line patterns, and what must never be touched.</summary>
internal static class CorpusTexts
{
    /// <summary>Texts that honest writers repeat in; each has hurt some rule that looked at text alone.</summary>
    public static readonly string[] Adversarial =
    [
        "1833", "2012", "6666666666", "abababab", "哈哈哈哈哈", "password", "committee", "ha ha ha", "hahahaha", "----", "****", "Yes", "Mississippi",
        "            x = 1\n            y = 1\n", "1|1|1|1\n1|1|1|1\n", "import os\nimport os\nimport sys\n",
        "using System;\nusing System;\n\nusing System.Text;\n",
        "| alpha | beta |\n| alpha | beta |\n| alpha | beta |\n| gamma | beta |\n", "{\"a\":{\"a\":{\"a\":1}},\"b\":[1,1,1]}", "[[1,1],[1,1],[1,1]]",
        "🎉🎉🎉🎉", "👍🏽👍🏽 ok 👍🏽", "你好你好，你好世界", "谢谢谢谢谢谢", "No no no, that is not it.", "the the the", "bye bye, bye bye love", "0.00 0.00 0.00\n0.00 0.00",
        "row, row, row your boat", "1, 1, 2, 3, 5, 8", "{{{{x}}}}", "    \n    \n    return\n", "aaaaaaaaaaaaaaaa", "xyzxyzxyzxyz",
        "tick tock tick tock tick tock",
        "def f(x):\n    return x\n\ndef f(x):\n    return x\n", "\n\n\n\n", "||||", "```\n```\n```\n", "\t\t\tend\n\t\tend\n\tend\n",
        "10101010 10101010", "So so so good.",
    ];

    private static readonly string[] English =
        ("river stone morning kettle window quiet harbour lantern engineer counted folded carried slowly without between every seven copper garden "
        + "letter market "
        + "the a of and to in with under over was is are had before after while nobody someone clerk bridge winter paper answer function value "
        + "result list index "
        + "compare returns because however first second therefore small large careful honest signal wheel orchard violin").Split(' ');

    private static readonly string[] German =
        ("Brücke Fenster Morgen Schlüssel langsam zwischen immer wieder der die das und oder nicht über unter Straße Garten Uhrmacher erklärt "
        + "Antwort Beispiel "
        + "zuerst danach außerdem möglich Wert Liste Größe schließlich Wasser kühl jemand niemand trägt").Split(' ');

    private static readonly string[] Chinese =
        "今天 天气 很好 我们 可以 先 检查 文件 然后 返回 结果 如果 没有 问题 函数 需要 参数 老师 学生 河边 灯笼 慢慢 走过 因为 所以 但是 一个 例子 如下 请 注意 方法".Split(' ');

    private static readonly string[] Names = ["count", "items", "buffer", "total", "node", "left", "right", "path", "user", "index", "row", "cell",
        "queue", "limit"];

    private static readonly string[] Openers = ["", "", "", "", "# ", "## ", "**", "- ", "1. ", "> ", "Sure! ", "Yes, ", "\"", "\n\n", "Okay, so "];

    public static string Prose(Random random)
    {
        string[] words = random.Next(3) switch { 0 => Chinese, 1 => German, _ => English };
        StringBuilder text = new(Openers[random.Next(Openers.Length)]);
        bool bold = text.ToString() == "**";
        int sentences = random.Next(1, 9);
        for (int s = 0; s < sentences; s++)
        {
            Sentence(random, words, text);
            if (bold && s == 0) text.Append("**");
            text.Append(random.Next(5) == 0 ? "\n\n" : words == Chinese ? "" : " ");
        }

        return text.ToString().TrimEnd(' ');
    }

    public static string Code(Random random)
    {
        StringBuilder text = new(random.Next(4) == 0 ? "```csharp\n" : "");
        int lines = random.Next(4, 25);
        int depth = 0;
        string previous = "";
        for (int i = 0; i < lines; i++)
        {
            string line = random.Next(8) == 0 && previous.Length > 0 ? previous : CodeLine(random, ref depth);
            text.Append(line).Append('\n');
            previous = line;
        }

        return text.ToString();
    }

    /// <summary>The arguments of a healthy tool call: a JSON object.</summary>
    public static string Arguments(Random random)
    {
        StringBuilder text = new("{");
        int members = random.Next(1, 5);
        for (int i = 0; i < members; i++)
        {
            if (i > 0) text.Append(random.Next(2) == 0 ? "," : ", ");
            text.Append('"').Append(Names[random.Next(Names.Length)]).Append(random.Next(2) == 0 ? "\":" : "\": ");
            Value(random, text, 0);
        }

        return text.Append('}').ToString();
    }

    private static void Sentence(Random random, string[] words, StringBuilder text)
    {
        int count = random.Next(4, 14);
        for (int i = 0; i < count; i++)
        {
            string word = words[random.Next(words.Length)];
            if (i == 0 && words != Chinese) word = char.ToUpperInvariant(word[0]) + word[1..];
            if (i > 0 && words != Chinese) text.Append(' ');
            text.Append(word);
            if (i > 1 && i < count - 1 && random.Next(9) == 0) text.Append(words == Chinese ? "，" : ",");
        }

        text.Append(words == Chinese ? "。" : random.Next(6) == 0 ? "?" : ".");
    }

    private static string CodeLine(Random random, ref int depth)
    {
        string a = Names[random.Next(Names.Length)], b = Names[random.Next(Names.Length)];
        string indent = new(' ', depth * 4);
        switch (random.Next(10))
        {
            case 0: depth++; return $"{indent}if ({a} > {b}) {{";
            case 1: depth++; return $"{indent}for (int i = 0; i < {a}.Length; i++) {{";
            case 2 or 3 when depth > 0: depth--; return new string(' ', depth * 4) + "}";
            case 4: return $"import {a}";
            case 5: return $"{indent}// {a} {a} {b}";
            case 6: return "";
            case 7: return $"{indent}{a} = {random.Next(1000)};";
            case 8: return $"{indent}return {a} + {b};";
            default: return $"{indent}{a}.{b}({a}, {b});";
        }
    }

    private static void Value(Random random, StringBuilder text, int depth)
    {
        switch (random.Next(depth > 2 ? 3 : 6))
        {
            case 0: text.Append(random.Next(100000)); break;
            case 1: text.Append(random.Next(2) == 0 ? "true" : "null"); break;
            case 2 or 3: text.Append(ChunkWriter.Quote(random.Next(2) == 0 ? Code(random) : Prose(random))); break;
            case 4:
                text.Append('[');
                for (int i = random.Next(4); i >= 0; i--)
                {
                    Value(random, text, depth + 1);
                    if (i > 0) text.Append(',');
                }

                text.Append(']');
                break;
            default:
                text.Append("{\"").Append(Names[random.Next(Names.Length)]).Append("\":");
                Value(random, text, depth + 1);
                text.Append('}');
                break;
        }
    }
}
