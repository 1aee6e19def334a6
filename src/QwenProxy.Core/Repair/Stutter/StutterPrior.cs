using System.Buffers;
using System.Text.Json;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// What earlier streams taught, per upstream host and model: how many were clean and how many were proven to restate their text (evidence E6).
/// Only streams proven without this prior are counted as proven, so that it cannot feed itself. Kept in memory; whoever owns it stores it as
/// <c>{"version":1,"upstreams":[{"host":"…","model":"…","clean":12,"proven":3}]}</c>. Safe for many threads.
/// </summary>
public sealed class StutterPrior
{
    private const int MostEntries = 512;

    /// <summary>Counts are halved here: an upstream that was mended is believed again after some hundred streams.</summary>
    private const int RememberedStreams = 200;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Host, string Model), Counts> _counts = [];

    /// <summary>Seen from two proven streams on, unless they are fewer than one in twenty.</summary>
    public StutterStanding StandingOf(string host, string model)
    {
        lock (_gate)
        {
            if (!_counts.TryGetValue((host, model), out Counts counts)) return StutterStanding.None;
            int all = counts.Clean + counts.Proven;
            return counts.Proven < 2 || counts.Proven * 20 < all ? StutterStanding.None : StutterStanding.Seen;
        }
    }

    public void Record(string host, string model, StutterOutcome outcome)
    {
        if (outcome == StutterOutcome.Unknown) return;
        lock (_gate)
        {
            Counts counts = _counts.GetValueOrDefault((host, model));
            counts = outcome == StutterOutcome.Proven ? counts with { Proven = counts.Proven + 1 } : counts with { Clean = counts.Clean + 1 };
            if (counts.Clean + counts.Proven > RememberedStreams) counts = new Counts(counts.Clean / 2, counts.Proven / 2);
            Set(host, model, counts);
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        using Utf8JsonWriter writer = new(output, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteNumber("version"u8, 1);
        writer.WriteStartArray("upstreams"u8);
        lock (_gate)
        {
            foreach (((string host, string model), Counts counts) in _counts)
            {
                writer.WriteStartObject();
                writer.WriteString("host"u8, host);
                writer.WriteString("model"u8, model);
                writer.WriteNumber("clean"u8, counts.Clean);
                writer.WriteNumber("proven"u8, counts.Proven);
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Reads what <see cref="WriteTo"/> wrote; false when it is something else, and then nothing was learned.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, out StutterPrior prior)
    {
        prior = new StutterPrior();
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return false;
            if (!document.RootElement.TryGetProperty("upstreams"u8, out JsonElement upstreams)
                || upstreams.ValueKind != JsonValueKind.Array) return false;
            foreach (JsonElement upstream in upstreams.EnumerateArray()) prior.ReadOne(upstream);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private void ReadOne(JsonElement upstream)
    {
        if (upstream.ValueKind != JsonValueKind.Object) return;
        if (!upstream.TryGetProperty("host"u8, out JsonElement host) || host.ValueKind != JsonValueKind.String) return;
        if (!upstream.TryGetProperty("model"u8, out JsonElement model) || model.ValueKind != JsonValueKind.String) return;
        Set(host.GetString()!, model.GetString()!, new Counts(ReadCount(upstream, "clean"u8), ReadCount(upstream, "proven"u8)));
    }

    private static int ReadCount(JsonElement upstream, ReadOnlySpan<byte> name) =>
        upstream.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count)
            ? Math.Clamp(count, 0, RememberedStreams)
            : 0;

    private void Set(string host, string model, Counts counts)
    {
        if (!_counts.ContainsKey((host, model)) && _counts.Count == MostEntries)
        {
            (string, string) least = _counts.MinBy(entry => entry.Value.Clean + entry.Value.Proven).Key;
            _counts.Remove(least);
        }

        _counts[(host, model)] = counts;
    }

    private readonly record struct Counts(int Clean, int Proven);
}
