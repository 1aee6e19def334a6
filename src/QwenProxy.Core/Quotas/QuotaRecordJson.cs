using System.Collections.Immutable;
using System.Text.Json;

namespace QwenProxy.Core.Quotas;

/// <summary>
/// A window as JSON: <c>{"account","window","model","since","learned","told","exhausted","warned","counts":[{"from","used"}]}</c>; what is not known is absent.
/// </summary>
public static class QuotaRecordJson
{
    public static void Write(Utf8JsonWriter json, QuotaRecord record)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(record);
        json.WriteStartObject();
        json.WriteString("account"u8, record.Account);
        json.WriteString("window"u8, record.Key);
        if (record.Model is not null) json.WriteString("model"u8, record.Model);
        json.WriteString("since"u8, record.Since.ToUniversalTime());
        if (record.Learned is { } learned) json.WriteNumber("learned"u8, learned);
        if (record.Told is { } told) json.WriteNumber("told"u8, told);
        if (record.Exhausted is { } exhausted) json.WriteString("exhausted"u8, exhausted.ToUniversalTime());
        if (record.Warned > 0) json.WriteNumber("warned"u8, record.Warned);
        json.WriteStartArray("counts"u8);
        foreach (QuotaCount count in record.Counts)
        {
            json.WriteStartObject();
            json.WriteString("from"u8, count.From.ToUniversalTime());
            json.WriteNumber("used"u8, count.Used);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Null when it cannot be understood.</summary>
    public static QuotaRecord? Read(JsonElement item)
    {
        if (Text(item, "account") is not { } account || Text(item, "window") is not { } window || Time(item, "since") is not { } since) return null;
        if (!item.TryGetProperty("counts", out JsonElement list) || list.ValueKind != JsonValueKind.Array) return null;
        ImmutableArray<QuotaCount>.Builder counts = ImmutableArray.CreateBuilder<QuotaCount>();
        foreach (JsonElement count in list.EnumerateArray())
        {
            if (count.ValueKind != JsonValueKind.Object || Time(count, "from") is not { } from || Number(count, "used") is not { } used) return null;
            counts.Add(new QuotaCount(from, used));
        }

        return new QuotaRecord(account, window, Text(item, "model"), since, counts.ToImmutable())
        {
            Learned = Number(item, "learned"),
            Told = Number(item, "told"),
            Exhausted = Time(item, "exhausted"),
            Warned = (int)Math.Clamp(Number(item, "warned") ?? 0, 0, 100),
        };
    }

    private static string? Text(JsonElement item, string name) => item.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static decimal? Number(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) ? number : null;

    private static DateTimeOffset? Time(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String && value.TryGetDateTimeOffset(out DateTimeOffset time) ? time : null;
}
