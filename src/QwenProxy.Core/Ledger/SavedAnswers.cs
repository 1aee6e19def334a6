namespace QwenProxy.Core.Ledger;

/// <summary>Answers that ended complete and would not have been whole, or not right, without this program.</summary>
/// <param name="Repaired">Repair changed something in them.</param>
/// <param name="Resumed">Their stream broke and was continued.</param>
/// <param name="Retried">An attempt failed before they began, and another one answered.</param>
public readonly record struct SavedAnswers(long Repaired, long Resumed, long Retried)
{
    public static SavedAnswers operator +(SavedAnswers left, SavedAnswers right) =>
        new(left.Repaired + right.Repaired, left.Resumed + right.Resumed, left.Retried + right.Retried);

    public static SavedAnswers Add(SavedAnswers left, SavedAnswers right) => left + right;

    public static SavedAnswers Of(LedgerEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (entry.End != "complete") return default;
        return new SavedAnswers(entry.Repaired > 0 ? 1 : 0, entry.Resumes > 0 ? 1 : 0, entry.Resumes == 0 && entry.Tried is not null ? 1 : 0);
    }
}
