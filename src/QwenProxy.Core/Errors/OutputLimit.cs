using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenProxy.Core.Errors;

/// <summary>
/// What an upstream says about a <c>max_tokens</c> that it refuses for its size: either what it takes at most, or how long its context is and how
/// much of it the prompt fills. 0 where it does not say.
/// </summary>
/// <param name="Most">The most it takes, whatever the prompt.</param>
/// <param name="Context">The model's context in tokens.</param>
/// <param name="Input">The prompt's tokens.</param>
/// <param name="Total">The prompt's and the asked-for tokens together, where only their sum is named.</param>
/// <param name="AtLeast">Upstream stopped counting the prompt at <paramref name="Input"/>: there may be more.</param>
public sealed partial record OutputLimit(long Most = 0, long Context = 0, long Input = 0, long Total = 0, bool AtLeast = false)
{
    /// <summary>With less room than this the answer would be a stump: it is the prompt that is too long.</summary>
    public const long LeastUseful = 1024;

    /// <summary>How many tokens can be asked for instead; null when nothing in the message tells. May be less than one.</summary>
    /// <param name="asked">What was asked for.</param>
    public long? Fit(long asked)
    {
        if (Most > 0) return Most;
        if (Context == 0) return null;
        if (Total > 0) return Context - (Total - asked);
        // Where the count is only a lower bound, half of what it leaves is a guess on the safe side.
        return AtLeast ? (Context - Input) / 2 : Context - Input;
    }

    /// <summary>The prompt leaves too little room for any answer worth having.</summary>
    public bool PromptIsTooLong => Most == 0 && Total == 0 && Context - Input < LeastUseful;

    /// <summary>Null when the message says nothing of the kind.</summary>
    public static OutputLimit? Read(string message)
    {
        string words = message.ToLowerInvariant();
        if (!Parameter().IsMatch(words) || PromptLength.IsAboutRate(words)) return null;
        return ReadRoom(words) ?? ReadMost(words);
    }

    private static OutputLimit? ReadRoom(string words)
    {
        if (Sum().Match(words) is { Success: true } sum) return new OutputLimit(Context: Number(sum, 2), Input: Number(sum, 1));
        if (Difference().Match(words) is { Success: true } difference) return new OutputLimit(Context: Number(difference, 1), Input: Number(difference, 2));
        if (ContextLength().Match(words) is not { Success: true } context) return null;
        if (InputTokens().Match(words) is { Success: true } input) return new OutputLimit(Context: Number(context, 1), Input: Number(input, 2), AtLeast: input.Groups[1].Success);
        return TotalTokens().Match(words) is { Success: true } total ? new OutputLimit(Context: Number(context, 1), Total: Number(total, 1)) : null;
    }

    private static OutputLimit? ReadMost(string words)
    {
        Match match = Interval().Match(words);
        if (!match.Success) match = Bound().Match(words);
        if (match.Success) return Number(match, 1) is > 0 and long most ? new OutputLimit(most) : null;
        return Below().Match(words) is { Success: true } below && Number(below, 1) > 1 ? new OutputLimit(Number(below, 1) - 1) : null;
    }

    private static long Number(Match match, int group) =>
        long.TryParse(match.Groups[group].Value.Replace(",", "", StringComparison.Ordinal), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : 0;

    /// <summary>The message is about how much may be written.</summary>
    [GeneratedRegex(@"max_(completion_|output_|new_)?tokens|maxoutputtokens|max(imum)? (output |completion )?tokens|(output|completion) tokens|in the completion|for the completion")]
    private static partial Regex Parameter();

    /// <summary>Prompt and asked-for tokens, and what they exceed: <c>199759 + 8192 &gt; 200000</c>.</summary>
    [GeneratedRegex(@"(\d[\d,]*) ?\+ ?\d[\d,]* ?> ?(\d[\d,]*)")]
    private static partial Regex Sum();

    /// <summary><c>32000 &gt; 32768 - 17459</c>.</summary>
    [GeneratedRegex(@"\d[\d,]* ?> ?(\d[\d,]*) ?- ?(\d[\d,]*)")]
    private static partial Regex Difference();

    [GeneratedRegex(@"(?:context(?:'s)? (?:length|window|size|limit)|max_(?:model|seq)_len|max(?:imum)? model length)\D{0,40}?(\d[\d,]*)")]
    private static partial Regex ContextLength();

    [GeneratedRegex(@"(at least )?(\d[\d,]*) (?:input tokens|prompt tokens|tokens? (?:from|in|of) (?:the |your )?(?:input|prompt|messages)|in (?:the |your )?(?:messages|prompt|input)|of text input|[`']?inputs[`']? tokens)")]
    private static partial Regex InputTokens();

    [GeneratedRegex(@"requested (?:a total of |about |at least )?(\d[\d,]*) tokens")]
    private static partial Regex TotalTokens();

    /// <summary>A range that belongs to the parameter: <c>[1, 8192]</c>, <c>between 1 and 8192</c>.</summary>
    [GeneratedRegex(@"tokens\b[^\[]{0,60}\[ ?\d[\d,]*? ?, ?(\d+) ?\]|between \d+ and (?<1>\d[\d,]*)")]
    private static partial Regex Interval();

    [GeneratedRegex(@"(?:<=|less than or equal to|at most|no more than|(?:not|n't) exceed|no greater than|up to|max(?:imum)?(?: allowed)?(?: value)? ?(?:is|of|:)|limit ?(?:is|of|:)|\d >) ?[`']?(\d[\d,]*)")]
    private static partial Regex Bound();

    [GeneratedRegex(@"(?:less|smaller|lower) than [`']?(\d[\d,]*)")]
    private static partial Regex Below();
}
