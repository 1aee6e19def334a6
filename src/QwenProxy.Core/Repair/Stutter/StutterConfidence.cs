using System.Globalization;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// How much a delta looks like a restatement, from four factors, each 0 to 1. Looks are no proof: the figure is reported with each decision
/// and may decide that a delta is worth holding; it never lets a byte be dropped.
/// </summary>
internal readonly record struct StutterConfidence(double Prefix, double Progression, double Arrival, double Similarity)
{
    /// <summary>Below this a delta is not worth a delay.</summary>
    public const double WorthHolding = 0.35;

    private const int ComparedBytes = 48;

    public double Total => (0.4 * Prefix) + (0.2 * Progression) + (0.15 * Arrival) + (0.25 * Similarity);

    /// <param name="relation">How the delta relates to the text.</param>
    /// <param name="extensions">Strict extensions in this run.</param>
    /// <param name="restatements">Restating deltas in this run, this one counted.</param>
    /// <param name="gapMilliseconds">Time since the channel's delta before; negative when nobody measures it.</param>
    public static StutterConfidence Of(
        Relation relation, int extensions, int restatements, long gapMilliseconds, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta) => new(
        relation switch { Relation.Extends => 1, Relation.Equals => 0.9, Relation.Shorter => 0.6, _ => 0 },
        (double)extensions / Math.Max(restatements, 1),
        gapMilliseconds switch { < 0 => 0.5, <= 50 => 1, <= 500 => 0.6, _ => 0.2 },
        Similar(text, delta));

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"confidence={Total:F2} prefix={Prefix:F2} length={Progression:F2} arrival={Arrival:F2} similarity={Similarity:F2}");

    /// <summary>
    /// 1 less the share of edits (Levenshtein) that turn one beginning into the other; bounded, since long texts cost their square.
    /// </summary>
    private static double Similar(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        if (a.Length > ComparedBytes) a = a[..ComparedBytes];
        if (b.Length > ComparedBytes) b = b[..ComparedBytes];
        if (a.IsEmpty || b.IsEmpty) return 0;
        Span<int> row = stackalloc int[ComparedBytes + 1];
        for (int j = 0; j <= b.Length; j++) row[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitute, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return 1 - ((double)row[b.Length] / Math.Max(a.Length, b.Length));
    }
}
