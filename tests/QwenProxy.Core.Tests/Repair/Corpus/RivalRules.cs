using System.Text;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>
/// The rules that others use, in a few lines each, so that the comparison runs on one corpus. Each takes deltas and gives what a client reads.
/// </summary>
internal static class RivalRules
{
    public static readonly (string Title, Func<IReadOnlyList<string>, string> Rule)[] All =
    [
        ("hold one, replace while prefix-related", HoldOneAndReplace),
        ("strip the previous delta", StripPreviousDelta),
        ("cumulative mode on strict growth", ModeOnStrictGrowth),
        ("trim equal ends and overlaps", TrimOverlap),
    ];

    /// <summary>The original proxy: hold one delta; while the next is related to it by prefix, the longer takes its place.</summary>
    public static string HoldOneAndReplace(IReadOnlyList<string> deltas)
    {
        StringBuilder output = new();
        string held = deltas[0];
        bool over = false;
        foreach (string delta in deltas.Skip(1))
        {
            if (!over && (delta.StartsWith(held, StringComparison.Ordinal) || held.StartsWith(delta, StringComparison.Ordinal)))
            {
                if (delta.Length > held.Length) held = delta;
                continue;
            }

            if (!over) output.Append(held);
            over = true;
            output.Append(delta);
        }

        return over ? output.ToString() : held;
    }

    /// <summary>Several plug-ins: a delta that begins with the one before it loses that beginning.</summary>
    public static string StripPreviousDelta(IReadOnlyList<string> deltas)
    {
        StringBuilder output = new();
        string previous = "";
        foreach (string delta in deltas)
        {
            output.Append(previous.Length > 0 && delta.StartsWith(previous, StringComparison.Ordinal) ? delta[previous.Length..] : delta);
            previous = delta;
        }

        return output.ToString();
    }

    /// <summary>A known client fix: cumulative mode on strict growth of the whole text, or on an exact repeat of 64 characters and more.</summary>
    public static string ModeOnStrictGrowth(IReadOnlyList<string> deltas)
    {
        StringBuilder output = new();
        bool cumulative = false;
        foreach (string delta in deltas)
        {
            string text = output.ToString();
            bool grows = text.Length > 0 && delta.Length > text.Length && delta.StartsWith(text, StringComparison.Ordinal);
            bool repeats = delta == text && (cumulative || delta.Length >= 64);
            cumulative |= grows || repeats;
            if (grows) output.Append(delta.AsSpan(text.Length));
            else if (!repeats) output.Append(delta);
        }

        return output.ToString();
    }

    /// <summary>Drop what is equal to the end, cut the longest overlap of the end with the beginning.</summary>
    public static string TrimOverlap(IReadOnlyList<string> deltas)
    {
        StringBuilder output = new();
        foreach (string delta in deltas)
        {
            string text = output.ToString();
            int overlap = Math.Min(text.Length, delta.Length);
            while (overlap > 0 && !text.AsSpan(text.Length - overlap).SequenceEqual(delta.AsSpan(0, overlap))) overlap--;
            output.Append(delta.AsSpan(overlap));
        }

        return output.ToString();
    }
}
