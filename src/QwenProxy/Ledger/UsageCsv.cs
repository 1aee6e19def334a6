using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>Sums of the ledger as comma-separated values (RFC 4180): a line of names, then a line for each group.</summary>
internal static class UsageCsv
{
    private static readonly (string Name, Func<UsageLine, object?> Value)[] s_sums =
    [
        ("requests", l => l.Requests), ("failed", l => l.Failed), ("repaired", l => l.Saved.Repaired), ("resumed", l => l.Saved.Resumed), ("retried", l => l.Saved.Retried),
        ("inputTokens", l => l.Tokens.Input), ("cachedTokens", l => l.Tokens.Cached), ("cacheWrittenTokens", l => l.Tokens.CacheWritten),
        ("outputTokens", l => l.Tokens.Output), ("reasoningTokens", l => l.Tokens.Reasoning), ("estimatedUsd", l => l.Cost),
    ];

    public static string Write(UsageTable table, ImmutableArray<string> by)
    {
        StringBuilder text = new();
        text.AppendJoin(',', by.Concat(s_sums.Select(s => s.Name))).Append("\r\n");
        foreach (UsageLine line in table.Lines)
            text.AppendJoin(',', line.Keys.Select(Name).Concat(s_sums.Select(s => Convert.ToString(s.Value(line), CultureInfo.InvariantCulture) ?? ""))).Append("\r\n");
        return text.ToString();
    }

    /// <summary>Clients choose the names of models, and this file is made for spreadsheets, which run what begins so.</summary>
    private static string Name(string key) => LedgerCsv.Quote(key.Length > 1 && key[0] is '=' or '+' or '-' or '@' ? "'" + key : key);
}
