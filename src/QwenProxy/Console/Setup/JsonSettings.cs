using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console.Setup;

/// <summary>Edits JSON, with or without comments and trailing commas.</summary>
internal static class JsonSettings
{
    private static readonly JsonReaderOptions s_lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    /// <param name="Depth">How many keys of the path exist.</param>
    /// <param name="Start">Of the value; when it is missing, the bracket that opens the object it belongs into.</param>
    /// <param name="End">Of the value; when it is missing, the end of the object's last value, or -1.</param>
    /// <param name="Close">The bracket that closes the object.</param>
    private readonly record struct Place(bool Found, int Depth, int Start, int End, int Close);

    public static string Set(string text, SettingWish wish)
    {
        if (string.IsNullOrWhiteSpace(text)) text = "{}\n";
        byte[] json = Encoding.UTF8.GetBytes(text);
        Place place = Find(json, wish);
        if (!place.Found) return Encoding.UTF8.GetString(Insert(json, wish, place));
        if (wish.OnlyIfMissing || IsSame(json.AsSpan(place.Start..place.End), wish.Value)) return text;
        return Encoding.UTF8.GetString([.. json[..place.Start], .. Encoding.UTF8.GetBytes(wish.Value), .. json[place.End..]]);
    }

    private static bool IsSame(ReadOnlySpan<byte> written, string wished)
    {
        Utf8JsonReader reader = new(written, s_lenient);
        using JsonDocument there = JsonDocument.ParseValue(ref reader);
        using JsonDocument wanted = JsonDocument.Parse(wished);
        return JsonElement.DeepEquals(there.RootElement, wanted.RootElement);
    }

    private static Place Find(byte[] json, SettingWish wish)
    {
        try
        {
            Utf8JsonReader whole = new(json, s_lenient);
            while (whole.Read())
            {
            }

            Utf8JsonReader reader = new(json, s_lenient);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject) throw new SettingsFault("line 1: it is not one JSON object, { … }");
            return Locate(reader, wish, 0);
        }
        catch (JsonException broken)
        {
            JsonFault fault = JsonFault.Of(json, broken);
            throw new SettingsFault($"line {fault.Place.Line}: {fault.Words}");
        }
    }

    private static Place Locate(Utf8JsonReader reader, SettingWish wish, int depth)
    {
        int open = (int)reader.TokenStartIndex;
        int lastEnd = -1;
        bool found = false;
        Utf8JsonReader match = default;
        (int Start, int End) value = default;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool named = reader.ValueTextEquals(wish.Path[depth]);
            reader.Read();
            Utf8JsonReader start = reader;
            reader.Skip();
            lastEnd = (int)reader.BytesConsumed;

            // Of a key that is written twice the last one counts, as it does for the agents.
            if (!named) continue;
            found = true;
            match = start;
            value = ((int)start.TokenStartIndex, lastEnd);
        }

        if (!found) return new Place(false, depth, open, lastEnd, (int)reader.TokenStartIndex);
        if (depth == wish.Path.Length - 1) return new Place(true, depth, value.Start, value.End, 0);
        if (match.TokenType == JsonTokenType.StartObject) return Locate(match, wish, depth + 1);
        throw new SettingsFault($"\"{string.Join('.', wish.Path.Take(depth + 1))}\" is not an object, {{ … }}");
    }

    private static byte[] Insert(byte[] json, SettingWish wish, Place place)
    {
        string text = Encoding.UTF8.GetString(json);
        string newLine = SettingsText.NewLineOf(text);
        string unit = UnitOf(text);
        string indent = IndentOfLine(json, place.Start);
        int contentStart = place.End < 0 ? place.Start + 1 : place.End;
        ReadOnlySpan<byte> tail = json.AsSpan(contentStart..place.Close);
        int trimmed = contentStart + tail.TrimEnd(" \t\r\n"u8).Length;
        bool isEmpty = place.End < 0;
        bool manyLines = isEmpty || json.AsSpan(place.Start..place.Close).Contains((byte)'\n');
        string member = (manyLines ? newLine + indent + unit : " ") + Member(wish, place.Depth, indent + unit, unit, newLine);
        string comma = isEmpty || HasComma(tail) ? "" : ",";
        string end = manyLines && !json.AsSpan(trimmed..place.Close).Contains((byte)'\n') ? newLine + indent : "";
        return [
            .. json[..contentStart],
            .. Encoding.UTF8.GetBytes(comma),
            .. json[contentStart..trimmed],
            .. Encoding.UTF8.GetBytes(member + end),
            .. json[trimmed..],
        ];
    }

    private static string Member(SettingWish wish, int depth, string indent, string unit, string newLine)
    {
        string key = JsonEncodedText.Encode(wish.Path[depth], System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString();
        if (depth == wish.Path.Length - 1) return $"\"{key}\": {wish.Value}";
        return $"\"{key}\": {{{newLine}{indent}{unit}{Member(wish, depth + 1, indent + unit, unit, newLine)}{newLine}{indent}}}";
    }

    /// <summary>True when a comma stands behind the last value; one inside a comment does not count.</summary>
    private static bool HasComma(ReadOnlySpan<byte> tail)
    {
        for (int i = 0; i < tail.Length; i++)
        {
            if (tail[i] == ',') return true;
            if (tail[i] != '/') continue;
            bool isLine = tail[i + 1] == '/';
            int length = tail[(i + 2)..].IndexOf(isLine ? "\n"u8 : "*/"u8);
            i = length < 0 ? tail.Length : i + 2 + length + (isLine ? 0 : 1);
        }

        return false;
    }

    private static string IndentOfLine(ReadOnlySpan<byte> json, int at)
    {
        int start = json[..at].LastIndexOf((byte)'\n') + 1;
        int end = start;
        while (end < at && json[end] is (byte)' ' or (byte)'\t') end++;
        return Encoding.UTF8.GetString(json[start..end]);
    }

    /// <summary>What the file's first indented member is indented with; two blanks where there is none.</summary>
    private static string UnitOf(string text)
    {
        foreach (string line in text.Split('\n'))
        {
            string inside = line.TrimStart(' ', '\t');
            if (inside.StartsWith('"') && inside.Length < line.Length) return line[..^inside.Length];
        }

        return "  ";
    }
}
