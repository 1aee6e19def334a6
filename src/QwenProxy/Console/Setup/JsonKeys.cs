using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console.Setup;

/// <summary>Finds, replaces and removes single values in JSON text, with or without comments and trailing commas.</summary>
internal static class JsonKeys
{
    private static readonly JsonReaderOptions s_lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    /// <param name="KeyStart">Where the quote before the key stands.</param>
    /// <param name="PreviousEnd">Where the value before it ends; -1 for the first.</param>
    private readonly record struct Place(int KeyStart, int Start, int End, int PreviousEnd);

    public static string? Get(string text, ImmutableArray<string> path)
    {
        byte[] json = Encoding.UTF8.GetBytes(text);
        return Find(json, path) is { } place ? Encoding.UTF8.GetString(json[place.Start..place.End]) : null;
    }

    public static string Replace(string text, ImmutableArray<string> path, string raw)
    {
        byte[] json = Encoding.UTF8.GetBytes(text);
        Place place = Find(json, path)!.Value;
        return Encoding.UTF8.GetString([.. json[..place.Start], .. Encoding.UTF8.GetBytes(raw), .. json[place.End..]]);
    }

    /// <summary>The member goes with its comma and the white space before it; comments stay.</summary>
    public static string Remove(string text, ImmutableArray<string> path)
    {
        byte[] json = Encoding.UTF8.GetBytes(text);
        Place place = Find(json, path)!.Value;
        int start = json.AsSpan(..place.KeyStart).TrimEnd(" \t\r\n"u8).Length;
        int comma = CommaAfter(json, place.End);
        if (comma >= 0) return Encoding.UTF8.GetString([.. json[..start], .. json[(comma + 1)..]]);
        int before = place.PreviousEnd < 0 ? -1 : CommaAfter(json, place.PreviousEnd);
        return Encoding.UTF8.GetString(before < 0 ? [.. json[..start], .. json[place.End..]] : [.. json[..before], .. json[(before + 1)..start], .. json[place.End..]]);
    }

    public static ImmutableArray<string>? Members(string text, ImmutableArray<string> path)
    {
        string? raw = path.IsEmpty ? text : Get(text, path);
        if (string.IsNullOrWhiteSpace(raw)) return path.IsEmpty ? [] : null;
        Utf8JsonReader reader = new(Encoding.UTF8.GetBytes(raw), s_lenient);
        using JsonDocument value = JsonDocument.ParseValue(ref reader);
        return value.RootElement.ValueKind == JsonValueKind.Object ? [.. value.RootElement.EnumerateObject().Select(m => m.Name)] : null;
    }

    private static Place? Find(byte[] json, ImmutableArray<string> path)
    {
        if (json.AsSpan().Trim(" \t\r\n"u8).IsEmpty) return null;
        try
        {
            Utf8JsonReader reader = new(json, s_lenient);
            reader.Read();
            Place? found = null;
            foreach (string key in path)
            {
                if (reader.TokenType != JsonTokenType.StartObject) return null;
                found = null;
                int previous = -1;
                Utf8JsonReader match = default;
                while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
                {
                    int keyStart = (int)reader.TokenStartIndex;
                    bool named = reader.ValueTextEquals(key);
                    reader.Read();
                    Utf8JsonReader start = reader;
                    reader.Skip();
                    int before = previous;
                    previous = (int)reader.BytesConsumed;
                    if (!named) continue;
                    found = new Place(keyStart, (int)start.TokenStartIndex, previous, before);
                    match = start;
                }

                if (found is null) return null;
                reader = match;
            }

            return found;
        }
        catch (JsonException broken)
        {
            JsonFault fault = JsonFault.Of(json, broken);
            throw new SettingsFault($"line {fault.Place.Line}: {fault.Words}");
        }
    }

    /// <summary>The comma behind a value; white space and comments may stand before it. -1 for none.</summary>
    private static int CommaAfter(ReadOnlySpan<byte> json, int at)
    {
        while (at < json.Length)
        {
            ReadOnlySpan<byte> rest = json[at..];
            if (rest[0] == ',') return at;
            if (rest[0] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n') at++;
            else if (rest.StartsWith("//"u8) && rest.IndexOf((byte)'\n') is >= 0 and int line) at += line + 1;
            else if (rest.StartsWith("/*"u8) && rest.IndexOf("*/"u8) is >= 0 and int block) at += block + 2;
            else return -1;
        }

        return -1;
    }
}
