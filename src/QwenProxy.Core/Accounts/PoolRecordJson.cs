using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Accounts;

/// <summary>
/// The pool's state as a JSON file:
/// <c>{"breakers":[{"account","model","state","failures","nextProbe"}],
/// "cooldowns":[{"account","model","kind","until","ends","hard","status","code","message"}],"quotas":[…],"slots":[{"account","limit"}]}</c>; a quota is what
/// <see cref="QuotaRecordJson"/> says.
/// Times are ISO 8601 in UTC. It holds no secret and no text of a conversation, but upstreams' own error messages.
/// </summary>
public static class PoolRecordJson
{
    public static void Write(PoolRecord record, IBufferWriter<byte> output)
    {
        using Utf8JsonWriter writer = new(output, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteStartArray("breakers"u8);
        foreach (BreakerRecord breaker in record.Breakers) WriteBreaker(writer, breaker);
        writer.WriteEndArray();
        writer.WriteStartArray("cooldowns"u8);
        foreach (Cooldown cooldown in record.Cooldowns) WriteCooldown(writer, cooldown);
        writer.WriteEndArray();
        writer.WriteStartArray("quotas"u8);
        foreach (QuotaRecord quota in record.Quotas) QuotaRecordJson.Write(writer, quota);
        writer.WriteEndArray();
        writer.WriteStartArray("slots"u8);
        foreach (SlotRecord slot in record.Slots) WriteSlot(writer, slot);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>
    /// Reads what <see cref="Write"/> wrote. An entry that cannot be understood (another version's) is left out; a file that is no JSON gives
    /// false and an empty record.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out PoolRecord record)
    {
        record = PoolRecord.Empty;
        try
        {
            Utf8JsonReader reader = new(json);
            JsonElement root = JsonElement.ParseValue(ref reader);
            if (root.ValueKind != JsonValueKind.Object) return false;
            record = new PoolRecord(
                [.. Items(root, "breakers").Select(ReadBreaker).OfType<BreakerRecord>()],
                [.. Items(root, "cooldowns").Select(ReadCooldown).OfType<Cooldown>()])
            {
                Quotas = [.. Items(root, "quotas").Select(QuotaRecordJson.Read).OfType<QuotaRecord>()],
                Slots = [.. Items(root, "slots").Select(ReadSlot).OfType<SlotRecord>()],
            };
            return true;
        }
        catch (JsonException)
        {
            // Half a file or none: state is a convenience, the proxy begins without it and the caller says so.
            return false;
        }
    }

    private static void WriteBreaker(Utf8JsonWriter writer, BreakerRecord breaker)
    {
        writer.WriteStartObject();
        writer.WriteString("account"u8, breaker.Account);
        writer.WriteString("model"u8, breaker.Model);
        writer.WriteString("state"u8, breaker.State.ToString());
        writer.WriteNumber("failures"u8, breaker.Failures);
        if (breaker.NextProbe is { } next) writer.WriteString("nextProbe"u8, next.ToUniversalTime());
        writer.WriteEndObject();
    }

    private static void WriteCooldown(Utf8JsonWriter writer, Cooldown cooldown)
    {
        writer.WriteStartObject();
        writer.WriteString("account"u8, cooldown.Account);
        if (cooldown.Model is not null) writer.WriteString("model"u8, cooldown.Model);
        writer.WriteString("kind"u8, cooldown.Kind.ToString());
        writer.WriteString("until"u8, cooldown.Until.ToUniversalTime());
        if (cooldown.Ends is { } ends) writer.WriteString("ends"u8, ends.ToUniversalTime());
        writer.WriteBoolean("hard"u8, cooldown.Hard);
        writer.WriteNumber("status"u8, cooldown.Status);
        if (cooldown.Code is not null) writer.WriteString("code"u8, cooldown.Code);
        writer.WriteString("message"u8, cooldown.Message);
        writer.WriteEndObject();
    }

    private static void WriteSlot(Utf8JsonWriter writer, SlotRecord slot)
    {
        writer.WriteStartObject();
        writer.WriteString("account"u8, slot.Account);
        writer.WriteNumber("limit"u8, Math.Round(slot.Limit, 3));
        writer.WriteEndObject();
    }

    private static SlotRecord? ReadSlot(JsonElement item) =>
        Text(item, "account") is { } account && item.TryGetProperty("limit", out JsonElement limit) && limit.ValueKind == JsonValueKind.Number && limit.TryGetDouble(out double number) ? new SlotRecord(account, number) : null;

    private static ImmutableArray<JsonElement> Items(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Where(i => i.ValueKind == JsonValueKind.Object)]
            : [];

    private static BreakerRecord? ReadBreaker(JsonElement item)
    {
        if (Text(item, "account") is not { } account || Text(item, "model") is not { } model) return null;
        if (!Enum.TryParse(Text(item, "state"), out BreakerState state)) return null;
        return new BreakerRecord(account, model, state, Number(item, "failures"), Time(item, "nextProbe"));
    }

    private static Cooldown? ReadCooldown(JsonElement item)
    {
        if (Text(item, "account") is not { } account || Time(item, "until") is not { } until) return null;
        if (!Enum.TryParse(Text(item, "kind"), out FaultKind kind) || !Enum.IsDefined(kind)) return null;
        bool hard = item.TryGetProperty("hard", out JsonElement value) && value.ValueKind == JsonValueKind.True;
        return new Cooldown(account, Text(item, "model"), kind, until, hard, Number(item, "status"), Text(item, "code"), Text(item, "message") ?? "") { Ends = Time(item, "ends") };
    }

    private static string? Text(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static int Number(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : 0;

    private static DateTimeOffset? Time(JsonElement item, string name)
    {
        if (!item.TryGetProperty(name, out JsonElement value) || value.ValueKind != JsonValueKind.String) return null;
        return value.TryGetDateTimeOffset(out DateTimeOffset time) ? time : null;
    }
}
