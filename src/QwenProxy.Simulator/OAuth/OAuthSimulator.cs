using System.Globalization;
using System.Text.Json;

namespace QwenProxy.Simulator.OAuth;

/// <summary>How the simulated server behaves when nothing is planned; may be changed while it runs.</summary>
public sealed class OAuthSimulatorOptions
{
    /// <summary>Life of an access token; null leaves <c>expires_in</c> out of the replies (the tokens then live an hour).</summary>
    public TimeSpan? Lifetime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>True: each refresh hands out a new refresh token and the old one is refused from then on.</summary>
    public bool Rotates { get; set; } = true;

    /// <summary>The <c>resource_url</c> of token replies; null leaves it out.</summary>
    public string? ResourceUrl { get; set; }

    /// <summary>Whether refresh replies carry <c>resource_url</c> too.</summary>
    public bool ResourceUrlOnRefresh { get; set; } = true;

    /// <summary>What the server's clock (its Date header) is ahead of the simulator's.</summary>
    public TimeSpan ClockSkew { get; set; }

    /// <summary>Polls answered "pending" before a device code confirms itself; null waits for <see cref="OAuthSimulator.Confirm"/>.</summary>
    public int? ConfirmsAfterPolls { get; set; }

    public TimeSpan DeviceCodeLifetime { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>Seconds between polls as the device reply says; null leaves <c>interval</c> out.</summary>
    public int? IntervalSeconds { get; set; }
}

/// <summary>
/// The OAuth server of the Qwen service: device codes with PKCE, rotating refresh tokens that refuse reuse, and any planned fault.
/// A state machine without sockets (see <see cref="OAuthSimulatorEndpoints"/> for those); safe to call from many threads.
/// </summary>
public sealed partial class OAuthSimulator(TimeProvider time, OAuthSimulatorOptions? options = null)
{
    public const string ClientId = "f0304373b74a44d2b584a3fb70ca9e56";
    public const string DeviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

    private readonly Lock _gate = new();
    private readonly Dictionary<OAuthCall, Queue<OAuthFault>> _planned = [];
    private readonly Dictionary<OAuthCall, OAuthFault> _standing = [];
    private readonly Dictionary<string, DateTimeOffset> _accessTokens = new(StringComparer.Ordinal);
    private readonly HashSet<string> _refreshTokens = new(StringComparer.Ordinal);
    private readonly HashSet<string> _usedRefreshTokens = new(StringComparer.Ordinal);
    private int _issued;

    public OAuthSimulatorOptions Options { get; } = options ?? new OAuthSimulatorOptions();

    /// <summary>The server's own idea of now.</summary>
    public DateTimeOffset Now => time.GetUtcNow() + Options.ClockSkew;

    public int DeviceCalls { get; private set; }

    public int PollCalls { get; private set; }

    /// <summary>Every refresh call that arrived, answered or not.</summary>
    public int RefreshCalls { get; private set; }

    public int RefreshesGranted { get; private set; }

    /// <summary>Refresh calls with a refresh token that had been used before: each is somebody's lost login.</summary>
    public int RefreshTokensReused { get; private set; }

    /// <summary>Called, outside any lock, with the number of the refresh call that has just been decided, before its answer leaves.</summary>
    public Action<int>? RefreshDecided { get; set; }

    /// <summary>Plans faults for the next calls of one kind, in order; calls after them behave again.</summary>
    public void Plan(OAuthCall call, params ReadOnlySpan<OAuthFault> faults)
    {
        lock (_gate)
        {
            if (!_planned.TryGetValue(call, out Queue<OAuthFault>? queue)) _planned[call] = queue = new Queue<OAuthFault>();
            foreach (OAuthFault fault in faults) queue.Enqueue(fault);
        }
    }

    /// <summary>Makes every call of one kind fail until it is called again with null.</summary>
    public void Stand(OAuthCall call, OAuthFault? fault)
    {
        lock (_gate) _standing[call] = fault ?? OAuthFault.None;
    }

    /// <summary>Hands out tokens as if a login had just ended.</summary>
    public (string AccessToken, string RefreshToken) Issue()
    {
        lock (_gate) return NewTokens(newRefreshToken: true)!;
    }

    /// <summary>True while the token would be taken by the service's model endpoints.</summary>
    public bool Accepts(string accessToken)
    {
        lock (_gate) return _accessTokens.TryGetValue(accessToken, out DateTimeOffset end) && time.GetUtcNow() < end;
    }

    /// <summary>Ends access tokens early; refresh tokens stay good. Null ends all of them.</summary>
    public void RevokeAccess(string? accessToken = null)
    {
        lock (_gate)
        {
            if (accessToken is null) _accessTokens.Clear();
            else _accessTokens.Remove(accessToken);
        }
    }

    /// <summary>Ends the whole sign-in: no refresh token is taken any more.</summary>
    public void RevokeRefresh()
    {
        lock (_gate) _refreshTokens.Clear();
    }

    /// <summary>Decides one call of the token or device endpoint. <paramref name="form"/> holds the decoded fields.</summary>
    public OAuthAnswer Answer(bool deviceEndpoint, IReadOnlyDictionary<string, string> form)
    {
        OAuthAnswer answer;
        int refreshes = 0;
        lock (_gate)
        {
            string grantType = form.GetValueOrDefault("grant_type", "");
            OAuthCall? call = grantType switch
            {
                _ when deviceEndpoint => OAuthCall.Device,
                DeviceGrant => OAuthCall.Poll,
                "refresh_token" => OAuthCall.Refresh,
                _ => null,
            };
            if (call is null) return Error(400, "unsupported_grant_type");
            Count(call.Value);
            if (call == OAuthCall.Refresh) refreshes = RefreshCalls;
            OAuthFault fault = NextFault(call.Value);
            answer = Decide(call.Value, fault, form);
        }

        if (refreshes > 0) RefreshDecided?.Invoke(refreshes);
        return answer;
    }

    private OAuthAnswer Decide(OAuthCall call, OAuthFault fault, IReadOnlyDictionary<string, string> form) => fault.Kind switch
    {
        OAuthFaultKind.Reply => new OAuthAnswer(fault.Status, fault.Body) { ContentType = fault.ContentType },
        OAuthFaultKind.Hung => new OAuthAnswer(0, "") { Hangs = true },
        OAuthFaultKind.Reset => new OAuthAnswer(0, "") { Resets = true },
        OAuthFaultKind.ReplyLost => Behave(call, form) with { Resets = true },
        OAuthFaultKind.Slow => Behave(call, form) with { Delay = fault.Delay },
        _ => Behave(call, form),
    };

    private OAuthAnswer Behave(OAuthCall call, IReadOnlyDictionary<string, string> form)
    {
        if (form.GetValueOrDefault("client_id") != ClientId) return Error(401, "invalid_client");
        return call switch
        {
            OAuthCall.Device => StartDevice(form),
            OAuthCall.Poll => Poll(form),
            _ => Refresh(form.GetValueOrDefault("refresh_token", "")),
        };
    }

    private OAuthAnswer Refresh(string refreshToken)
    {
        if (!_refreshTokens.Contains(refreshToken))
        {
            if (_usedRefreshTokens.Contains(refreshToken)) RefreshTokensReused++;
            return Error(400, "invalid_request", "Invalid refresh token or client_id");
        }

        RefreshesGranted++;
        if (Options.Rotates)
        {
            _refreshTokens.Remove(refreshToken);
            _usedRefreshTokens.Add(refreshToken);
        }

        return Tokens(NewTokens(Options.Rotates), Options.ResourceUrlOnRefresh);
    }

    private (string AccessToken, string RefreshToken) NewTokens(bool newRefreshToken)
    {
        int number = ++_issued;
        string access = string.Create(CultureInfo.InvariantCulture, $"sim-access-{number:D6}");
        string refresh = newRefreshToken ? string.Create(CultureInfo.InvariantCulture, $"sim-refresh-{number:D6}") : "";
        _accessTokens[access] = time.GetUtcNow() + (Options.Lifetime ?? TimeSpan.FromHours(1));
        if (newRefreshToken) _refreshTokens.Add(refresh);
        return (access, refresh);
    }

    private OAuthAnswer Tokens((string AccessToken, string RefreshToken) tokens, bool withResource) => new(200, Write(json =>
    {
        json.WriteString("access_token", tokens.AccessToken);
        json.WriteString("token_type", "Bearer");
        if (tokens.RefreshToken.Length > 0) json.WriteString("refresh_token", tokens.RefreshToken);
        if (Options.Lifetime is { } lifetime) json.WriteNumber("expires_in", (long)lifetime.TotalSeconds);
        if (withResource && Options.ResourceUrl is { } resource) json.WriteString("resource_url", resource);
    }));

    private OAuthFault NextFault(OAuthCall call)
    {
        if (_planned.TryGetValue(call, out Queue<OAuthFault>? queue) && queue.TryDequeue(out OAuthFault? planned)) return planned;
        return _standing.GetValueOrDefault(call, OAuthFault.None);
    }

    private void Count(OAuthCall call)
    {
        if (call == OAuthCall.Device) DeviceCalls++;
        else if (call == OAuthCall.Poll) PollCalls++;
        else RefreshCalls++;
    }

    private static OAuthAnswer Error(int status, string error, string? description = null)
    {
        OAuthFault fault = OAuthFault.Error(status, error, description);
        return new OAuthAnswer(fault.Status, fault.Body);
    }

    private static string Write(Action<Utf8JsonWriter> members)
    {
        using MemoryStream body = new();
        using (Utf8JsonWriter json = new(body))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(body.ToArray());
    }
}
