using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Core.Credentials;

/// <summary>
/// The credentials file as bytes: a JSON object with <c>access_token, token_type, refresh_token, resource_url, expiry_date</c>
/// (milliseconds since 1970). The file is shared with another program, so a write replaces those values and keeps every other byte.
/// </summary>
public static class CredentialsDocument
{
    private const long LastMillisecond = 253_402_300_799_999;

    private static readonly JsonWriterOptions s_plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static ReadOnlySpan<byte> Bom => [0xEF, 0xBB, 0xBF];

    /// <summary>Reads a file. When it cannot be used the result is null and <paramref name="fault"/> says why, without quoting the file.</summary>
    public static QwenCredentials? Parse(ReadOnlySpan<byte> utf8, out string? fault)
    {
        Dictionary<string, JsonElement>? members = MembersOf(utf8[BomLength(utf8)..]);
        if (members is null)
        {
            fault = "the file is not a JSON object";
            return null;
        }

        string? access = Text(members, "access_token");
        if (access is null)
        {
            fault = "the file has no access_token";
            return null;
        }

        string? refresh = Text(members, "refresh_token");
        if (!CanBeSent(access) || (refresh is not null && !CanBeSent(refresh)))
        {
            fault = "a token in the file holds characters that no request can carry";
            return null;
        }

        fault = null;
        return new QwenCredentials
        {
            AccessToken = new Secret(access),
            RefreshToken = refresh is null ? null : new Secret(refresh),
            TokenType = Text(members, "token_type") ?? "Bearer",
            ResourceUrl = Text(members, "resource_url"),
            ExpiresAt = Milliseconds(members, "expiry_date"),
        };
    }

    /// <summary>The file after a sign-in or refresh. An original that is not a JSON object is replaced whole by a two-space indented one.</summary>
    public static byte[] Merge(ReadOnlySpan<byte> original, QwenCredentials credentials)
    {
        int bom = BomLength(original);
        Dictionary<string, byte[]> wanted = Wanted(credentials);
        return MembersOf(original[bom..]) is null ? Fresh(wanted) : Splice(original, bom, wanted);
    }

    /// <summary>True for text that may stand in an Authorization header: printable ASCII without spaces.</summary>
    internal static bool CanBeSent(string token) => token.All(c => c is > ' ' and <= '~');

    private static Dictionary<string, byte[]> Wanted(QwenCredentials credentials)
    {
        Dictionary<string, byte[]> wanted = new(StringComparer.Ordinal)
        {
            ["access_token"] = Encode(credentials.AccessToken.Reveal()),
            ["token_type"] = Encode(credentials.TokenType),
        };
        if (credentials.RefreshToken is { } refresh) wanted["refresh_token"] = Encode(refresh.Reveal());
        if (credentials.ResourceUrl is { } resource) wanted["resource_url"] = Encode(resource);
        if (credentials.ExpiresAt is { } expires) wanted["expiry_date"] = Encoding.ASCII.GetBytes($"{expires.ToUnixTimeMilliseconds()}");
        return wanted;
    }

    private static byte[] Splice(ReadOnlySpan<byte> original, int bom, Dictionary<string, byte[]> wanted)
    {
        ArrayBufferWriter<byte> output = new(original.Length + 512);
        Dictionary<string, byte[]> missing = new(wanted, StringComparer.Ordinal);
        ReadOnlySpan<byte> json = original[bom..];
        Utf8JsonReader reader = new(json);
        reader.Read();
        int copied = 0;
        int lastValueEnd = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            int start = (int)reader.TokenStartIndex;
            reader.Skip();
            lastValueEnd = (int)reader.BytesConsumed;
            if (!wanted.TryGetValue(name, out byte[]? value)) continue;

            // A repeated key is replaced each time: readers disagree on which of the two counts.
            if (copied == 0) output.Write(original[..bom]);
            output.Write(json[copied..start]);
            output.Write(value);
            copied = lastValueEnd;
            missing.Remove(name);
        }

        if (copied == 0) output.Write(original[..bom]);
        if (lastValueEnd == 0) return Fresh(wanted);
        output.Write(json[copied..lastValueEnd]);
        bool lines = json[..lastValueEnd].Contains((byte)'\n');
        foreach ((string name, byte[] value) in missing)
        {
            output.Write(lines ? ",\n  \""u8 : ",\""u8);
            output.Write(Encoding.ASCII.GetBytes(name));
            output.Write(lines ? "\": "u8 : "\":"u8);
            output.Write(value);
        }

        output.Write(json[lastValueEnd..]);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Fresh(Dictionary<string, byte[]> wanted)
    {
        ArrayBufferWriter<byte> output = new(1024);
        output.Write("{"u8);
        bool first = true;
        foreach ((string name, byte[] value) in wanted)
        {
            output.Write(first ? "\n  \""u8 : ",\n  \""u8);
            output.Write(Encoding.ASCII.GetBytes(name));
            output.Write("\": "u8);
            output.Write(value);
            first = false;
        }

        output.Write("\n}\n"u8);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Encode(string text)
    {
        ArrayBufferWriter<byte> value = new(text.Length + 16);
        using (Utf8JsonWriter writer = new(value, s_plain)) writer.WriteStringValue(text);
        return value.WrittenSpan.ToArray();
    }

    private static Dictionary<string, JsonElement>? MembersOf(ReadOnlySpan<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json.ToArray());
            if (document.RootElement.ValueKind != JsonValueKind.Object) return null;
            Dictionary<string, JsonElement> members = new(StringComparer.Ordinal);
            foreach (JsonProperty member in document.RootElement.EnumerateObject()) members[member.Name] = member.Value.Clone();
            return members;
        }
        catch (Exception broken) when (broken is JsonException or InvalidOperationException)
        {
            // Broken JSON, or an escape that is half a character: the file cannot be used, and the caller says so.
            return null;
        }
    }

    private static string? Text(Dictionary<string, JsonElement> members, string name)
    {
        if (!members.TryGetValue(name, out JsonElement value) || value.ValueKind != JsonValueKind.String) return null;
        try
        {
            return value.GetString() is { Length: > 0 } text ? text : null;
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair as an escape: no such token exists.
            return null;
        }
    }

    private static DateTimeOffset? Milliseconds(Dictionary<string, JsonElement> members, string name)
    {
        if (!members.TryGetValue(name, out JsonElement value) || value.ValueKind != JsonValueKind.Number) return null;
        double milliseconds = value.GetDouble();
        return DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Clamp(milliseconds, 0, LastMillisecond));
    }

    private static int BomLength(ReadOnlySpan<byte> utf8) => utf8.StartsWith(Bom) ? Bom.Length : 0;
}
