namespace QwenProxy.Core.Ledger;

/// <summary>What requests with the same model, account, client and dialect came to within a stretch of time.</summary>
/// <param name="Time">A moment in that stretch.</param>
/// <param name="Model">The model that answered, else the one asked for; empty without one.</param>
/// <param name="Account">Empty when nobody was asked.</param>
/// <param name="Client">Empty without client keys.</param>
/// <param name="Dialect">The client's wire API.</param>
public sealed record UsageSum(DateTimeOffset Time, string Model, string Account, string Client, string Dialect)
{
    public long Requests { get; init; }

    /// <summary>Requests that did not end complete.</summary>
    public long Failed { get; init; }

    public SavedAnswers Saved { get; init; }

    public TokenCounts Tokens { get; init; }

    /// <summary>US dollars at list prices; null when none of the requests has a price.</summary>
    public decimal? Cost { get; init; }

    public static UsageSum Of(LedgerEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return new UsageSum(entry.Time, entry.ServedModel ?? entry.AskedModel, entry.Account ?? "", entry.Client ?? "", entry.Dialect)
        {
            Requests = 1,
            Failed = entry.End == "complete" ? 0 : 1,
            Saved = SavedAnswers.Of(entry),
            Tokens = entry.Tokens ?? default,
            Cost = entry.Cost,
        };
    }
}
