using System.Buffers;
using System.Text.Json;

namespace QwenProxy.Core.Repair;

/// <summary>
/// Two numbers for each place (a host, an account) and model, bounded in size and count, with the form in which they are stored:
/// <c>{"version":1,"LIST":[{"PLACE":"…","model":"…","FIRST":12,"SECOND":3}]}</c>. Safe for many threads.
/// </summary>
internal sealed class LearnedCounts(string list, string place, string first, string? second = null)
{
    /// <summary>A larger number is stored and read as this one.</summary>
    public const int Most = 200;

    private const int MostEntries = 512;

    private readonly Dictionary<(string Place, string Model), (int First, int Second)> _counts = [];

    public (int First, int Second) this[string where, string model]
    {
        get
        {
            lock (_counts) return _counts.GetValueOrDefault((where, model));
        }
    }

    /// <summary>Puts other numbers in the place of those that are there, in one step. Of too many entries the one that has counted least goes.</summary>
    public void Change(string where, string model, Func<(int First, int Second), (int First, int Second)> change)
    {
        lock (_counts)
        {
            if (!_counts.TryGetValue((where, model), out (int First, int Second) counts) && _counts.Count == MostEntries)
            {
                _counts.Remove(_counts.MinBy(entry => entry.Value.First + entry.Value.Second).Key);
            }

            _counts[(where, model)] = change(counts);
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        using Utf8JsonWriter writer = new(output, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteNumber("version"u8, 1);
        writer.WriteStartArray(list);
        lock (_counts)
        {
            foreach (((string where, string model), (int one, int two)) in _counts)
            {
                if (one + two == 0) continue;
                writer.WriteStartObject();
                writer.WriteString(place, where);
                writer.WriteString("model"u8, model);
                writer.WriteNumber(first, one);
                if (second is not null) writer.WriteNumber(second, two);
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Reads what <see cref="WriteTo"/> wrote; false when it is something else, and then nothing was learned. An entry that is odd is left out.</summary>
    public bool TryRead(ReadOnlyMemory<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return false;
            if (!document.RootElement.TryGetProperty(list, out JsonElement entries) || entries.ValueKind != JsonValueKind.Array) return false;
            foreach (JsonElement entry in entries.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.Object))
            {
                if (Text(entry, place) is { } where && Text(entry, "model") is { } model) Change(where, model, _ => (Number(entry, first), Number(entry, second)));
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string? Text(JsonElement entry, string name) =>
        entry.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static int Number(JsonElement entry, string? name) =>
        name is not null && entry.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) ? Math.Clamp(count, 0, Most) : 0;
}
