using System.Text.Json;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>One ledger entry as JSON, wherever it is shown. Names are those of the log line; what is not known is left out.</summary>
internal static class LedgerJson
{
    /// <summary>Writes the members into an object that the caller opens and closes.</summary>
    public static void WriteMembers(Utf8JsonWriter json, LedgerEntry entry)
    {
        json.WriteString("time", entry.Time);
        json.WriteString("requestId", entry.RequestId);
        json.WriteString("dialect", entry.Dialect);
        json.WriteNumber("status", entry.Status);
        json.WriteString("end", entry.End);
        WriteText(json, "source", entry.Source);
        WriteText(json, "code", entry.Code);
        WriteText(json, "tried", entry.Tried);
        WriteText(json, "fix", entry.Fix);
        json.WriteString("model", entry.AskedModel);
        WriteText(json, "served", entry.ServedModel);
        WriteText(json, "account", entry.Account);
        WriteText(json, "client", entry.Client);
        json.WriteNumber("attempts", entry.Attempts);
        json.WriteNumber("resumes", entry.Resumes);
        if (entry.FirstByte is { } first) json.WriteNumber("ttfbMs", Math.Round(first.TotalMilliseconds, 1));
        json.WriteNumber("durationMs", Math.Round(entry.Duration.TotalMilliseconds, 1));
        if (entry.Tokens is { } tokens)
        {
            json.WriteNumber("inputTokens", tokens.Input);
            json.WriteNumber("cachedTokens", tokens.Cached);
            json.WriteNumber("cacheWrittenTokens", tokens.CacheWritten);
            json.WriteNumber("outputTokens", tokens.Output);
            json.WriteNumber("reasoningTokens", tokens.Reasoning);
        }

        json.WriteNumber("repaired", entry.Repaired);
        WriteRaw(json, "repairs", entry.Repairs);
        WriteRaw(json, "steps", entry.Steps);
        if (entry.Cost is { } cost) json.WriteNumber("estimatedUsd", cost);
    }

    /// <summary>It was written as JSON; whatever else somebody put in its place is left out.</summary>
    private static void WriteRaw(Utf8JsonWriter json, string name, string? value)
    {
        if (value is null || !IsJson(value)) return;
        json.WritePropertyName(name);
        json.WriteRawValue(value);
    }

    private static bool IsJson(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Array;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static void WriteText(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null) json.WriteString(name, value);
    }
}
