using System.Buffers;
using System.Text.Json;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>
/// Which accounts and models were seen to think in the content with a closing tag only, as where the chat template writes the opening one. Kept in
/// memory; whoever owns it stores it as <c>{"version":1,"models":[{"account":"…","model":"…","streams":2}]}</c>. Safe for many threads.
/// </summary>
public sealed class ThinkingPrior
{
    private const int MostEntries = 512;

    /// <summary>Streams that have to show it before one is read so from its beginning.</summary>
    private const int NeededStreams = 2;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Account, string Model), int> _streams = [];

    /// <summary>The next stream's content is thinking until a closing tag, unless its thinking is switched off or has its own field.</summary>
    public bool IsLearned(string account, string model)
    {
        lock (_gate) return _streams.GetValueOrDefault((account, model)) >= NeededStreams;
    }

    /// <summary>One stream that ends without the tag unlearns it: the next answer must not wait for its end again.</summary>
    public void Record(string account, string model, LoneClose outcome)
    {
        if (outcome == LoneClose.Unknown) return;
        lock (_gate)
        {
            if (outcome == LoneClose.Missing) _streams.Remove((account, model));
            else if (_streams.Count < MostEntries || _streams.ContainsKey((account, model)))
            {
                _streams[(account, model)] = Math.Min(_streams.GetValueOrDefault((account, model)) + 1, NeededStreams);
            }
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        using Utf8JsonWriter writer = new(output, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteNumber("version"u8, 1);
        writer.WriteStartArray("models"u8);
        lock (_gate)
        {
            foreach (((string account, string model), int streams) in _streams)
            {
                writer.WriteStartObject();
                writer.WriteString("account"u8, account);
                writer.WriteString("model"u8, model);
                writer.WriteNumber("streams"u8, streams);
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Reads what <see cref="WriteTo"/> wrote; false when it is something else, and then nothing was learned.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, out ThinkingPrior prior)
    {
        prior = new ThinkingPrior();
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return false;
            if (!document.RootElement.TryGetProperty("models"u8, out JsonElement models) || models.ValueKind != JsonValueKind.Array) return false;
            foreach (JsonElement model in models.EnumerateArray()) prior.ReadOne(model);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private void ReadOne(JsonElement entry)
    {
        if (entry.ValueKind != JsonValueKind.Object || _streams.Count == MostEntries) return;
        if (!entry.TryGetProperty("account"u8, out JsonElement account) || account.ValueKind != JsonValueKind.String) return;
        if (!entry.TryGetProperty("model"u8, out JsonElement model) || model.ValueKind != JsonValueKind.String) return;
        bool counted = entry.TryGetProperty("streams"u8, out JsonElement value) && value.ValueKind == JsonValueKind.Number;
        if (counted && value.TryGetInt32(out int streams) && streams > 0)
        {
            _streams[(account.GetString()!, model.GetString()!)] = Math.Min(streams, NeededStreams);
        }
    }
}
