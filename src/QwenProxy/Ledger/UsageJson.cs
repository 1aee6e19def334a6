using System.Collections.Immutable;
using System.Text.Json;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>Sums of the ledger as JSON: what <c>usage --json</c> prints and <c>/admin/usage</c> answers.</summary>
internal static class UsageJson
{
    /// <summary>Writes one object: <c>since</c> when there is a bound, <c>source</c> when one is given, <c>usage</c> with a line for each group, <c>total</c>.</summary>
    public static void Write(Utf8JsonWriter json, UsageTable table, ImmutableArray<string> by, DateTimeOffset? since, string? source = null)
    {
        json.WriteStartObject();
        if (since is { } from) json.WriteString("since", from);
        if (source is not null) json.WriteString("source", source);
        json.WriteStartArray("usage");
        foreach (UsageLine line in table.Lines)
        {
            json.WriteStartObject();
            foreach ((int i, string key) in by.Index()) json.WriteString(key, line.Keys[i]);
            WriteSums(json, line);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("total");
        WriteSums(json, table.Total);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteSums(Utf8JsonWriter json, UsageLine line)
    {
        json.WriteNumber("requests", line.Requests);
        json.WriteNumber("failed", line.Failed);
        json.WriteNumber("repaired", line.Saved.Repaired);
        json.WriteNumber("resumed", line.Saved.Resumed);
        json.WriteNumber("retried", line.Saved.Retried);
        json.WriteNumber("inputTokens", line.Tokens.Input);
        json.WriteNumber("cachedTokens", line.Tokens.Cached);
        json.WriteNumber("cacheWrittenTokens", line.Tokens.CacheWritten);
        json.WriteNumber("outputTokens", line.Tokens.Output);
        json.WriteNumber("reasoningTokens", line.Tokens.Reasoning);
        if (line.Cost is { } cost) json.WriteNumber("estimatedUsd", cost);
        else json.WriteNull("estimatedUsd");
    }
}
