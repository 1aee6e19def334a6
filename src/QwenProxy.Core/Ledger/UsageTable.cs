using System.Collections.Immutable;
using System.Globalization;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Ledger;

/// <summary>The sum of the requests that share the same keys.</summary>
public sealed class UsageLine(ImmutableArray<string> keys)
{
    /// <summary>One value for each key asked for.</summary>
    public ImmutableArray<string> Keys => keys;

    public long Requests { get; private set; }

    /// <summary>Requests that did not end complete.</summary>
    public long Failed { get; private set; }

    public SavedAnswers Saved { get; private set; }

    public TokenCounts Tokens { get; private set; }

    /// <summary>US dollars at list prices; null when no price of these models is known.</summary>
    public decimal? Cost { get; private set; }

    internal void Add(UsageSum sum)
    {
        Requests += sum.Requests;
        Failed += sum.Failed;
        Saved += sum.Saved;
        Tokens += sum.Tokens;
        if (sum.Cost is { } cost) Cost = (Cost ?? 0) + cost;
    }
}

/// <summary>
/// Sums up what was used by model, account, client, dialect, day or hour. Costs are estimates from the catalogue's list prices when a request ended: plans with
/// a fixed fee, discounts and taxes are not in them.
/// </summary>
public sealed class UsageTable(ImmutableArray<string> by, TimeZoneInfo zone)
{
    private readonly Dictionary<string, UsageLine> _lines = new(StringComparer.Ordinal);

    /// <summary>What entries can be grouped by.</summary>
    public static ImmutableArray<string> AllKeys { get; } = ["model", "account", "client", "dialect", "day", "hour"];

    /// <summary>What stands where a request had no account, model or client.</summary>
    public const string Nobody = "-";

    public UsageLine Total { get; } = new([]);

    /// <summary>In the order of their keys.</summary>
    public IEnumerable<UsageLine> Lines => _lines.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => l.Value);

    /// <summary>The keys of a list with commas between them.</summary>
    public static ImmutableArray<string> SplitKeys(string? keys) =>
        [.. (keys ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];

    public void Add(UsageSum sum)
    {
        ArgumentNullException.ThrowIfNull(sum);
        ImmutableArray<string> keys = [.. by.Select(k => KeyOf(sum, k))];
        string joined = string.Join('\0', keys);
        if (!_lines.TryGetValue(joined, out UsageLine? line)) _lines.Add(joined, line = new UsageLine(keys));
        line.Add(sum);
        Total.Add(sum);
    }

    /// <summary>The list price in US dollars of one request that <paramref name="model"/> answered; null when nothing was counted or the model has no price.</summary>
    public static decimal? CostOf(string? model, TokenCounts? counted)
    {
        if (counted is not { } tokens || model is null || ModelCatalogue.TryGet(model)?.PriceFor(tokens.Input) is not { } price) return null;
        // Cached tokens are of the implicit cache unless something was written to the explicit one; the ledger does not know more.
        long fresh = Math.Max(0, tokens.Input - tokens.Cached - tokens.CacheWritten);
        decimal cached = tokens.Cached * (tokens.CacheWritten > 0 ? price.CacheReadUsd : price.ImplicitCacheReadUsd);
        return ((fresh * price.InputUsd) + cached + (tokens.CacheWritten * price.CacheWriteUsd) + (tokens.Output * price.OutputUsd)) / 1_000_000m;
    }

    private string KeyOf(UsageSum sum, string key) => key switch
    {
        "account" => OrNobody(sum.Account),
        "client" => OrNobody(sum.Client),
        "dialect" => sum.Dialect,
        "day" => TimeZoneInfo.ConvertTime(sum.Time, zone).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        "hour" => TimeZoneInfo.ConvertTime(sum.Time, zone).ToString("yyyy-MM-dd HH:00", CultureInfo.InvariantCulture),
        _ => OrNobody(sum.Model),
    };

    private static string OrNobody(string name) => name.Length > 0 ? name : Nobody;
}
