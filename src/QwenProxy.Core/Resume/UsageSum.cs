using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Core.Resume;

/// <summary>
/// The usage of an answer that several streams made together: what the client is shown is the sum, what the ledger keeps is the parts. Of one
/// stream the last report counts, since some upstreams report on every event.
/// </summary>
public sealed class UsageSum
{
    private readonly List<byte[]?> _parts = [];
    private byte[]? _current;

    /// <summary>One entry per stream that has ended; null where it broke before it reported.</summary>
    public IReadOnlyList<byte[]?> Parts => _parts;

    /// <summary>An earlier stream has reported, so what the client is shown must be a sum.</summary>
    public bool HasEarlier => _parts.Exists(p => p is not null);

    /// <summary>The current stream reported this <c>usage</c> object.</summary>
    public void Note(ReadOnlySpan<byte> usage) => _current = usage.ToArray();

    /// <summary>The current stream is over; the next one begins.</summary>
    public void EndStream()
    {
        _parts.Add(_current);
        _current = null;
    }

    /// <summary>All parts and the current report as one JSON object; null when nobody reported.</summary>
    public byte[]? Total() => Total(_current);

    /// <summary>The ended streams' parts and this report as one JSON object.</summary>
    public byte[]? Total(ReadOnlySpan<byte> current) => Total(current.ToArray());

    private byte[]? Total(byte[]? current)
    {
        byte[]? sum = null;
        foreach (byte[]? part in _parts.Append(current))
        {
            if (part is null || part.Length == 0) continue;
            sum = sum is null ? part : Add(sum, part);
        }

        return sum;
    }

    private static byte[] Add(byte[] left, byte[] right)
    {
        try
        {
            using JsonDocument a = JsonDocument.Parse(left);
            using JsonDocument b = JsonDocument.Parse(right);
            using PooledBytes output = new(left.Length + 32);
            using Utf8JsonWriter writer = new(output);
            Write(writer, a.RootElement, b.RootElement);
            writer.Flush();
            return output.Span.ToArray();
        }
        catch (JsonException)
        {
            // A report that is no JSON cannot be added; the newer one stands alone.
            return right;
        }
    }

    private static void Write(Utf8JsonWriter writer, JsonElement left, JsonElement right)
    {
        if (left.ValueKind == JsonValueKind.Object && right.ValueKind == JsonValueKind.Object) WriteObjects(writer, left, right);
        else if (left.ValueKind == JsonValueKind.Number && right.ValueKind == JsonValueKind.Number) WriteNumbers(writer, left, right);
        else if (right.ValueKind == JsonValueKind.Null) left.WriteTo(writer);
        else right.WriteTo(writer);
    }

    private static void WriteObjects(Utf8JsonWriter writer, JsonElement left, JsonElement right)
    {
        writer.WriteStartObject();
        foreach (JsonProperty property in left.EnumerateObject())
        {
            writer.WritePropertyName(property.Name);
            if (right.TryGetProperty(property.Name, out JsonElement other)) Write(writer, property.Value, other);
            else property.Value.WriteTo(writer);
        }

        foreach (JsonProperty property in right.EnumerateObject())
        {
            if (!left.TryGetProperty(property.Name, out _)) property.WriteTo(writer);
        }

        writer.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter writer, JsonElement left, JsonElement right)
    {
        if (left.TryGetInt64(out long a) && right.TryGetInt64(out long b)) writer.WriteNumberValue(a + b);
        else writer.WriteNumberValue(left.GetDouble() + right.GetDouble());
    }
}
