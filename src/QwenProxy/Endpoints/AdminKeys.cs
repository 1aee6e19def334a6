using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QwenProxy.Clients;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Errors;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>GET /admin/keys</c>, <c>POST /admin/keys</c>, <c>POST /admin/keys/NAME/rotate</c> and <c>…/revoke</c>: the keys of clients, as <c>qwen-proxy keys</c> has them.
/// The text of a key is in the one answer that made it and nowhere else.
/// </summary>
internal sealed partial class AdminKeys(CurrentConfiguration configuration, ClientMeters meters, ILedger? ledger, Instruments instruments)
{
    private const string DefaultGrace = "24h";

    private static readonly string[] s_members = ["name", "models", "expires", "requestsPerMinute", "concurrent", "tokensPerDay", "usdPerMonth", "priority"];

    private readonly KeyChanges _changes = new(instruments.Time);

    public AdminAnswer List()
    {
        ProxySnapshot snapshot = configuration.Snapshot;
        IReadOnlyDictionary<string, DateTimeOffset> seen = Seen();
        DateTimeOffset now = instruments.Time.GetLocalNow();
        return AdminAnswer.Json(json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("kept", snapshot.Storage.DataFolder.Length > 0);
            json.WriteStartArray("keys");
            foreach (KnownClient client in KnownClient.All(snapshot, now))
            {
                ClientStanding standing = meters.Of(client.Name).Look(client.Limits, now);
                json.WriteStartObject();
                client.WriteMembers(json, seen.TryGetValue(client.Name, out DateTimeOffset last) ? last : null);
                json.WriteBoolean("stored", client.IsStored);
                json.WriteNumber("running", standing.Running);
                if (standing.RequestsLeft is { } requests) json.WriteNumber("requestsLeft", requests);
                json.WriteNumber("tokensToday", standing.Tokens);
                json.WriteNumber("usdThisMonth", standing.Dollars);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    /// <param name="body">An object with <c>name</c> and the limits, named as in the configuration; <c>expires</c> may be a span.</param>
    /// <param name="who">Whose doing it is.</param>
    public async Task<AdminAnswer> AddAsync(JsonElement body, string who, CancellationToken stop)
    {
        if (ReadAdd(body, out string name, out ClientLimits limits) is { } fault) return fault;
        return await ChangeAsync("added", name, who, snapshot => _changes.AddAsync(snapshot, name, limits, stop));
    }

    /// <param name="body">An object with <c>grace</c>, a span such as <c>2h</c>, or <c>0</c>; absent is a day.</param>
    public async Task<AdminAnswer> RotateAsync(string name, JsonElement? body, string who, CancellationToken stop)
    {
        string grace = body is { } object_ && object_.TryGetProperty("grace", out JsonElement value) ? value.ToString() : DefaultGrace;
        TimeSpan span = TimeSpan.Zero;
        if (grace != "0" && !ExpiryText.TryReadSpan(grace, out span)) return OwnErrors.InvalidRequest("grace must be a span such as 2h, 30m or 7d, or 0.", "grace");
        return await ChangeAsync("renewed", name, who, snapshot => _changes.RotateAsync(snapshot, name, span, stop));
    }

    public Task<AdminAnswer> RevokeAsync(string name, string who, CancellationToken stop) => ChangeAsync("revoked", name, who, snapshot => _changes.RevokeAsync(snapshot, name, stop));

    private async Task<AdminAnswer> ChangeAsync(string did, string name, string who, Func<ProxySnapshot, Task<KeyChange>> make)
    {
        ProxySnapshot snapshot = configuration.Snapshot;
        if (snapshot.Storage.DataFolder.Length == 0) return OwnErrors.InvalidRequest("This proxy keeps no data, so it keeps no keys either.") with { Status = StatusCodes.Status409Conflict };
        try
        {
            KeyChange change = await make(snapshot);
            if (change.Refusal is { } refusal) return OwnErrors.InvalidRequest(refusal, "name") with { Status = change.IsNotThere ? StatusCodes.Status404NotFound : StatusCodes.Status409Conflict };
            LogChanged(instruments.Logger, name, did, who);
            return AdminAnswer.Json(json =>
            {
                json.WriteStartObject();
                ClientTexts.WriteChange(json, change);
                json.WriteEndObject();
            });
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return OwnErrors.Internal() with { Message = $"The keys cannot be changed: {failure.Message}" };
        }
    }

    private ProxyError? ReadAdd(JsonElement body, out string name, out ClientLimits limits)
    {
        limits = ClientLimits.None;
        name = body.ValueKind == JsonValueKind.Object && body.TryGetProperty("name", out JsonElement text) ? text.ToString() : "";
        if (!AccountReader.IsName(name)) return OwnErrors.InvalidRequest("name must be a name of letters, digits, '-', '_' and '.'.", "name");
        if (body.EnumerateObject().FirstOrDefault(m => !s_members.Contains(m.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } unknown)
            return OwnErrors.InvalidRequest($"There is no limit '{PrintableText.Of(unknown.Name)}'; there are {string.Join(", ", s_members[1..])}.", "name");
        ProxyError? fault = null;
        DateTimeOffset? expires = null;
        if (Text("expires") is { } when)
        {
            if (ExpiryText.TryRead(when, instruments.Time.GetUtcNow(), instruments.Time.LocalTimeZone, out DateTimeOffset end)) expires = end;
            else fault = OwnErrors.InvalidRequest($"expires must be {ExpiryText.Allowed}.", "expires");
        }

        limits = new ClientLimits
        {
            Models = body.TryGetProperty("models", out JsonElement models) && models.ValueKind == JsonValueKind.Array ? [.. models.EnumerateArray().Select(m => m.ToString()).Where(m => m.Length > 0)] : [],
            Expires = expires,
            RequestsPerMinute = Limit("requestsPerMinute", LimitRules.RequestsPerMinute),
            Concurrent = Limit("concurrent", LimitRules.Concurrent),
            TokensPerDay = Limit("tokensPerDay", LimitRules.TokensPerDay),
            UsdPerMonth = Limit("usdPerMonth", LimitRules.UsdPerMonth),
            Priority = Limit("priority", LimitRules.Priority) ?? 0,
        };
        return fault;

        string? Text(string member) => body.TryGetProperty(member, out JsonElement value) && value.ToString() is { Length: > 0 } given ? given : null;

        T? Limit<T>(string member, ValueRule<T> rule)
            where T : struct
        {
            if (Text(member) is not { } given) return null;
            if (rule.Read(given, out T value)) return value;
            fault = OwnErrors.InvalidRequest($"{member} must be {rule.Allowed}.", member);
            return null;
        }
    }

    private IReadOnlyDictionary<string, DateTimeOffset> Seen()
    {
        try
        {
            if (ledger is not null) return ledger.LastSeen();
        }
        catch (Exception damaged) when (Ledgers.IsFault(damaged))
        {
            // Who may ask does not hang on the ledger; that it cannot be read is told where it is asked for.
        }

        return new Dictionary<string, DateTimeOffset>();
    }

    [LoggerMessage(EventId = 76, Level = LogLevel.Information, Message = "The key of client {client} was {did} by {who}")]
    private static partial void LogChanged(ILogger logger, string client, string did, string who);
}
