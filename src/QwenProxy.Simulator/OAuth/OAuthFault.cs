namespace QwenProxy.Simulator.OAuth;

/// <summary>The three calls of the OAuth server.</summary>
public enum OAuthCall
{
    Device,
    Poll,
    Refresh,
}

/// <summary>
/// One way for a call to go wrong. Faults of a poll do not use up the device code, faults of a refresh do not use up the refresh token.
/// </summary>
public enum OAuthFaultKind
{
    /// <summary>No fault: holds a place in a row of planned ones.</summary>
    None,

    /// <summary>Status, content type and body as given.</summary>
    Reply,

    /// <summary>Never answers; ends when the caller hangs up.</summary>
    Hung,

    /// <summary>The right answer, after a while.</summary>
    Slow,

    /// <summary>The connection is reset before an answer.</summary>
    Reset,

    /// <summary>The tokens are handed out and the old ones used up, but the connection is reset before the answer.</summary>
    ReplyLost,
}

/// <summary>A planned fault; the named ones are those seen from real servers.</summary>
public sealed record OAuthFault(OAuthFaultKind Kind)
{
    private const string Json = "application/json";

    public static readonly OAuthFault None = new(OAuthFaultKind.None);
    public static readonly OAuthFault Hung = new(OAuthFaultKind.Hung);
    public static readonly OAuthFault Reset = new(OAuthFaultKind.Reset);
    public static readonly OAuthFault ReplyLost = new(OAuthFaultKind.ReplyLost);
    public static readonly OAuthFault Pending = Error(400, "authorization_pending");
    public static readonly OAuthFault SlowDown429 = Error(429, "slow_down");
    public static readonly OAuthFault SlowDown400 = Error(400, "slow_down");
    public static readonly OAuthFault ExpiredToken = Error(400, "expired_token");
    public static readonly OAuthFault AccessDenied = Error(400, "access_denied");
    public static readonly OAuthFault Unauthorized = new(OAuthFaultKind.Reply) { Status = 401, Body = "" };
    public static readonly OAuthFault NullToken = new(OAuthFaultKind.Reply) { Status = 200, Body = """{"access_token":null,"status":"pending"}""" };
    public static readonly OAuthFault EmptyOk = new(OAuthFaultKind.Reply) { Status = 200, Body = "" };
    public static readonly OAuthFault TornJson = new(OAuthFaultKind.Reply) { Status = 200, Body = """{"access_token":"half""" };
    public static readonly OAuthFault ErrorUnder200 = Error(200, "server_busy");
    public static readonly OAuthFault ServerError = Error(500, "server_error");
    public static readonly OAuthFault RateLimited = new(OAuthFaultKind.Reply) { Status = 429, Body = "" };
    public static readonly OAuthFault RefusedRequest = Error(400, "invalid_request", "Invalid refresh token or client_id");
    public static readonly OAuthFault RefusedGrant = Error(400, "invalid_grant");
    public static readonly OAuthFault RefusedUnder401 = Error(401, "invalid_grant");

    public static readonly OAuthFault Html = new(OAuthFaultKind.Reply)
    {
        Status = 200,
        ContentType = "text/html; charset=utf-8",
        Body = "<!doctype html><html><body><h1>Please wait</h1></body></html>",
    };

    public static readonly OAuthFault BadGateway = Html with { Status = 502 };

    public int Status { get; init; }

    public string ContentType { get; init; } = Json;

    public string Body { get; init; } = "";

    /// <summary>For <see cref="OAuthFaultKind.Slow"/>.</summary>
    public TimeSpan Delay { get; init; }

    public static OAuthFault Slow(TimeSpan delay) => new(OAuthFaultKind.Slow) { Delay = delay };

    public static OAuthFault Error(int status, string error, string? description = null) => new(OAuthFaultKind.Reply)
    {
        Status = status,
        Body = description is null ? $$"""{"error":"{{error}}"}""" : $$"""{"error":"{{error}}","error_description":"{{description}}"}""",
    };
}

/// <summary>What the server does with one call: an HTTP answer, or none.</summary>
public sealed record OAuthAnswer(int Status, string Body)
{
    public string ContentType { get; init; } = "application/json";

    public TimeSpan Delay { get; init; }

    public bool Hangs { get; init; }

    public bool Resets { get; init; }
}
