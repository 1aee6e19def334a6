using System.Globalization;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>Ledger entries as comma-separated values (RFC 4180): a line of names, then a line for each entry. What is not known is empty.</summary>
internal static class LedgerCsv
{
    private static readonly (string Name, Func<LedgerEntry, object?> Value)[] s_columns =
    [
        ("time", e => e.Time.ToString("O", CultureInfo.InvariantCulture)),
        ("requestId", e => e.RequestId),
        ("dialect", e => e.Dialect),
        ("status", e => e.Status),
        ("end", e => e.End),
        ("source", e => e.Source),
        ("code", e => e.Code),
        ("tried", e => e.Tried),
        ("model", e => e.AskedModel),
        ("served", e => e.ServedModel),
        ("account", e => e.Account),
        ("client", e => e.Client),
        ("attempts", e => e.Attempts),
        ("resumes", e => e.Resumes),
        ("ttfbMs", e => e.FirstByte is { } first ? Math.Round(first.TotalMilliseconds, 1) : null),
        ("durationMs", e => Math.Round(e.Duration.TotalMilliseconds, 1)),
        ("inputTokens", e => e.Tokens?.Input),
        ("cachedTokens", e => e.Tokens?.Cached),
        ("cacheWrittenTokens", e => e.Tokens?.CacheWritten),
        ("outputTokens", e => e.Tokens?.Output),
        ("reasoningTokens", e => e.Tokens?.Reasoning),
        ("estimatedUsd", e => e.Cost),
        ("repaired", e => e.Repaired),
        ("fix", e => e.Fix),
    ];

    public static string Header => string.Join(',', s_columns.Select(c => c.Name));

    public static string Line(LedgerEntry entry) => string.Join(',', s_columns.Select(c => Quote(Convert.ToString(c.Value(entry), CultureInfo.InvariantCulture) ?? "")));

    public static string Quote(string value) => value.AsSpan().IndexOfAny(",\"\r\n") < 0 ? value : $"\"{value.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
