using System.Globalization;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Core.Credentials;

/// <summary>
/// Reads what the OAuth server answers. Servers disagree on the status under which an <c>error</c> code comes, so the code counts first and the
/// status second.
/// </summary>
public static class OAuthReplies
{
    private static readonly string[] s_passing =
        ["temporarily_unavailable", "server_error", "slow_down", "authorization_pending", "rate_limit", "rate_limited"];

    /// <summary>
    /// A refresh. 400 and 401 with a JSON body (or none) refuse the refresh token; 429, 5xx, web pages, broken JSON and a 200 without a token say
    /// nothing about it.
    /// </summary>
    public static OAuthReply ReadRefresh(int status, ReadOnlySpan<byte> body)
    {
        Fields fields = Fields.Read(body);
        if (fields.GrantUnder(status) is { } grant) return new OAuthReply(OAuthReplyKind.Granted, "granted") { Grant = grant };
        string reason = fields.Reason(status);
        bool refusedByCode = fields.Error == "invalid_grant";
        bool refusedByStatus = status is 400 or 401 && fields.Shape != Shape.Other && !s_passing.Contains(fields.Error);
        return new OAuthReply(refusedByCode || refusedByStatus ? OAuthReplyKind.Refused : OAuthReplyKind.Transient, reason);
    }

    /// <summary>A poll for the tokens of a device code. A 200 whose token is null is "not yet".</summary>
    public static OAuthReply ReadPoll(int status, ReadOnlySpan<byte> body)
    {
        Fields fields = Fields.Read(body);
        if (fields.GrantUnder(status) is { } grant) return new OAuthReply(OAuthReplyKind.Granted, "granted") { Grant = grant };
        OAuthReplyKind kind = fields.Error switch
        {
            // The status alone ends it, whatever else the reply says: asking again with the same code cannot help.
            "access_denied" when status == 401 => OAuthReplyKind.Denied,
            "expired_token" or null when status == 401 => OAuthReplyKind.CodeExpired,
            _ when status == 401 => OAuthReplyKind.Ended,
            "authorization_pending" => OAuthReplyKind.Pending,
            "slow_down" => OAuthReplyKind.SlowDown,
            "expired_token" => OAuthReplyKind.CodeExpired,
            "access_denied" => OAuthReplyKind.Denied,
            "invalid_grant" or "invalid_client" or "unauthorized_client" or "unsupported_grant_type" => OAuthReplyKind.Refused,
            _ when status == 429 => OAuthReplyKind.SlowDown,
            null when status is >= 200 and < 300 && fields.Shape == Shape.Object => OAuthReplyKind.Pending,
            _ => OAuthReplyKind.Transient,
        };
        return new OAuthReply(kind, fields.Reason(status));
    }

    /// <summary>A request for a device code; null with a reason when there is none in the reply.</summary>
    public static DeviceCode? ReadDevice(int status, ReadOnlySpan<byte> body, out string reason)
    {
        Fields fields = Fields.Read(body);
        reason = fields.Reason(status);
        string? link = fields.Text("verification_uri") ?? fields.Text("verification_uri_complete");
        if (status is < 200 or >= 300 || fields.Error is not null || fields.Text("device_code") is not { } code || link is null) return null;
        return new DeviceCode
        {
            Code = code,
            UserCode = Plain(fields.Text("user_code") ?? "", 64),
            VerificationUri = Plain(link, 2048),
            VerificationUriComplete = Plain(fields.Text("verification_uri_complete") ?? link, 2048),
            Lifetime = fields.Seconds("expires_in") ?? TimeSpan.FromMinutes(15),
            Interval = fields.Seconds("interval") is { } asked && asked < TimeSpan.FromMinutes(1) ? asked : TimeSpan.FromSeconds(2),
        };
    }

    /// <summary>Text from a server made fit for a terminal and a log line.</summary>
    public static string Plain(string text, int longest)
    {
        StringBuilder plain = new(Math.Min(text.Length, longest));
        foreach (char c in text)
        {
            if (plain.Length == longest) break;
            plain.Append(char.IsControl(c) || char.GetUnicodeCategory(c) == UnicodeCategory.Format ? ' ' : c);
        }

        return plain.ToString().Trim();
    }

    private enum Shape
    {
        Empty,
        Object,
        Other,
    }

    private sealed class Fields
    {
        private readonly Dictionary<string, string> _texts = new(StringComparer.Ordinal);

        public Shape Shape { get; private set; } = Shape.Other;

        public string? Error => Text("error");

        public string? Text(string name) => _texts.GetValueOrDefault(name) is { Length: > 0 } text ? text : null;

        public TimeSpan? Seconds(string name) =>
            double.TryParse(Text(name), NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds is > 0 and < 1e9
                ? TimeSpan.FromSeconds(seconds)
                : null;

        public TokenGrant? GrantUnder(int status)
        {
            if (status is < 200 or >= 300 || Error is not null || Text("access_token") is not { } access) return null;
            if (!CredentialsDocument.CanBeSent(access)) return null;
            Secret? refresh = Text("refresh_token") is { } text && CredentialsDocument.CanBeSent(text) ? new Secret(text) : null;
            return new TokenGrant(new Secret(access), refresh, Text("token_type"), Text("resource_url"), Seconds("expires_in"));
        }

        public string Reason(int status)
        {
            string? words = Text("error_description") ?? Text("message");
            string reason = Error is { } error ? (words is null ? error : $"{error}: {words}")
                : Shape == Shape.Other ? "the reply was not JSON" : words ?? "the reply held no token";
            return Plain($"HTTP {status}, {reason}", 240);
        }

        public static Fields Read(ReadOnlySpan<byte> body)
        {
            Fields fields = new();
            if (body.Trim(" \t\r\n"u8).IsEmpty)
            {
                fields.Shape = Shape.Empty;
                return fields;
            }

            try
            {
                using JsonDocument document = JsonDocument.Parse(body.ToArray());
                if (document.RootElement.ValueKind != JsonValueKind.Object) return fields;
                fields.Shape = Shape.Object;
                foreach (JsonProperty member in document.RootElement.EnumerateObject()) fields.Take(member.Name, member.Value);
            }
            catch (Exception broken) when (broken is JsonException or InvalidOperationException)
            {
                // A web page or a torn reply; Shape says so, and what was read of it counts for nothing.
                fields._texts.Clear();
                fields.Shape = Shape.Other;
            }

            return fields;
        }

        private void Take(string name, JsonElement value)
        {
            if (value.ValueKind == JsonValueKind.String) _texts[name] = value.GetString()!;
            else if (value.ValueKind == JsonValueKind.Number) _texts[name] = value.GetRawText();
            else if (value.ValueKind == JsonValueKind.Object && name == "error")
            {
                // The model service's shape, met when a gateway answers in place of the OAuth server.
                if (value.TryGetProperty("code", out JsonElement code)) Take("error", code);
                if (value.TryGetProperty("message", out JsonElement message)) Take("message", message);
            }
        }
    }
}
