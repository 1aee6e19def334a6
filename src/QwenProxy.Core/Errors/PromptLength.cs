using System.Text.RegularExpressions;

namespace QwenProxy.Core.Errors;

/// <summary>
/// Reads whether an upstream says that the prompt is too long for the model. No two services say it alike, so what is read is not their sentences
/// but what all of them have: something that is part of a prompt, a word that says it is too much, and the measure of a context. A list of
/// sentences was the alternative; each new service would have been an <see cref="FaultKind.InvalidRequest"/> until somebody met it.
/// </summary>
internal static partial class PromptLength
{
    /// <param name="words">The message, in lower case.</param>
    public static bool IsTooLong(string words)
    {
        if (IsAboutRate(words)) return false;
        if (Limit().IsMatch(words)) return true;
        foreach (string sentence in Ends().Split(words))
        {
            if (Says(sentence)) return true;
        }

        return SaysInChinese(words);
    }

    /// <summary>A limit of so much in so much time, or of money: another matter, whatever else is said.</summary>
    public static bool IsAboutRate(string words) => Rate().IsMatch(words);

    private static bool Says(string sentence)
    {
        if (!TooMuch().IsMatch(sentence)) return false;
        if (ContextMeasure().IsMatch(sentence)) return true;
        if (OtherThing().IsMatch(sentence)) return false;
        return Whole().IsMatch(sentence) || (Tokens().IsMatch(sentence) && Part().IsMatch(sentence));
    }

    private static bool SaysInChinese(string words) => ChineseTooMuch().IsMatch(words) && ChinesePart().IsMatch(words) && !ChineseOtherThing().IsMatch(words);

    [GeneratedRegex(@"[.!;]\s|\n")]
    private static partial Regex Ends();

    [GeneratedRegex(@"\b(per (minute|second|hour|day|month)|tpm|rpm|tpd|rpd|rate|quota|concurren\w*|credits?|budget|please wait|slow down)\b")]
    private static partial Regex Rate();

    /// <summary>The limit is named and what was sent, without a word for "too much".</summary>
    [GeneratedRegex(@"range of input length should be|max(imum)? (context|prompt|input|sequence) length (is|of) \d|reduce the length of (the|your) (messages|input|prompt)|n_keep\W+\d*\W*>=? ?n_ctx")]
    private static partial Regex Limit();

    [GeneratedRegex(@"\btoo (long|large|big|many)\b|\b(longer|larger|greater|bigger|more) than\b|\bexceed(s|ed|ing)?\b|\boverflow(s|ed|ing)?\b|\bsurpass|\bover the (limit|maximum)\b|\b(must|should) be (less|smaller|shorter|lower|at most|no (more|longer))\b|\b(not|cannot|can't) fit\b|\bnot enough\b|\breached\b|\d\)? ?(>|>=) ?\d")]
    private static partial Regex TooMuch();

    /// <summary>Nothing but a prompt is measured by these.</summary>
    [GeneratedRegex(@"\bcontext('s)? (length|window|size|limit|len)\b|\bmax_(seq|model|context)_?len(gth)?\b|\bn_ctx\b|\bmax(imum)? (model|context|prompt|input|sequence) (length|len|size)\b|\b(model|prompt|input|context) token limit\b|\bavailable context\b|\bmax_?(prompt|input)_?tokens\b")]
    private static partial Regex ContextMeasure();

    /// <summary>What has a length of its own, or a measure that is not the context's. A tool's name may be too long, and so may a list of images.</summary>
    [GeneratedRegex(@"\b(images?|pictures?|videos?|audio|frames?|pixels?|files?|file_?names?|names?|tools?|functions?|urls?|uris?|strings?|characters?|chars?|bytes?|[kmg]i?b|stop|metadata|title|descriptions?|schemas?|enum|lists?|arrays?|items?|keys?|batch|documents?|embeddings?|labels?|ids?|users?|passwords?|headers?|seconds?|took|takes|max_(completion_|output_|new_)?tokens|(output|completion|thinking|reasoning) tokens|\w*budget\w*|access)\b")]
    private static partial Regex OtherThing();

    /// <summary>The prompt as a whole, itself said to be too long.</summary>
    [GeneratedRegex(@"\b(prompt|inputs?|conversation|context|messages|chat history|request tokens?)\b")]
    private static partial Regex Whole();

    [GeneratedRegex(@"\b(tokens?|(prompt|input)_tokens|input_ids)\b")]
    private static partial Regex Tokens();

    [GeneratedRegex(@"\b(request(ed)?|sequence|(prompt|input)_tokens|input_ids|tokens? (count|limit|length)|number of tokens|\d+\)? tokens)\b")]
    private static partial Regex Part();

    [GeneratedRegex("超过|超出|超长|过长|超限|太长")]
    private static partial Regex ChineseTooMuch();

    [GeneratedRegex("上下文|输入|提示词|对话|tokens?|prompt")]
    private static partial Regex ChinesePart();

    [GeneratedRegex("图片|图像|文件|名称|频率|速率|并发|每分钟|额度|配额|字段|工具|max_tokens")]
    private static partial Regex ChineseOtherThing();
}
