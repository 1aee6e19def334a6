using QwenProxy.Core.Credentials;

namespace QwenProxy.Core.Tests.Credentials;

public sealed class AuthErrorsTests
{
    private const string Expired = "invalid access token or token expired";

    /// <summary>Status 200 and 0 stand for an error inside a stream; the other rows hold for streaming and whole answers alike.</summary>
    [Theory]
    // 401: always the token.
    [InlineData(401, null, null, true)]
    [InlineData(401, "invalid_api_key", Expired, true)]
    [InlineData(401, "anything", "whatever", true)]
    [InlineData(401, "insufficient_quota", "quota exceeded", true)]
    // 403: the token, unless it is quota or permission.
    [InlineData(403, null, null, true)]
    [InlineData(403, "forbidden", "Forbidden", true)]
    [InlineData(403, "invalid_api_key", null, true)]
    [InlineData(403, "insufficient_quota", null, false)]
    [InlineData(403, "quota_exceeded", "You exceeded", false)]
    [InlineData(403, "access_denied", "Access denied.", false)]
    [InlineData(403, "AccessDenied", "Access denied.", false)]
    [InlineData(403, "AccessDenied.Unpurchased", null, false)]
    [InlineData(403, "Model.AccessDenied", null, false)]
    [InlineData(403, "Workspace.AccessDenied", null, false)]
    [InlineData(403, "AllocationQuota.FreeTierOnly", null, false)]
    [InlineData(403, "Arrearage", null, false)]
    [InlineData(403, "permission_error", null, false)]
    [InlineData(403, null, "Free allocated quota exceeded.", false)]
    // 405: the client gate says nothing about the token.
    [InlineData(405, null, "Coding Plan is currently only available for Coding Agents", false)]
    [InlineData(405, null, null, false)]
    [InlineData(405, "invalid_access_token", null, true)]
    // 429: limits, unless the code or the words name the token.
    [InlineData(429, null, null, false)]
    [InlineData(429, "limit_requests", "You exceeded your current requests list.", false)]
    [InlineData(429, "insufficient_quota", "Free allocated quota exceeded.", false)]
    [InlineData(429, "Throttling.RateQuota", "token limit; authentication", false)]
    [InlineData(429, "InvalidApiKey", null, true)]
    [InlineData(429, null, Expired, true)]
    // 504 and 400: never, whatever they say.
    [InlineData(504, null, null, false)]
    [InlineData(504, "invalid_api_key", Expired, false)]
    [InlineData(504, null, "unauthorized", false)]
    [InlineData(400, null, null, false)]
    [InlineData(400, "invalid_api_key", Expired, false)]
    [InlineData(400, "invalid_access_token", null, false)]
    // Anything else: by code, then by words.
    [InlineData(200, "invalid_api_key", null, true)]
    [InlineData(200, "InvalidApiKey", "Invalid API-key provided.", true)]
    [InlineData(0, null, Expired, true)]
    [InlineData(200, "Throttling", "Too many requests", false)]
    [InlineData(500, "internal_error", "boom", false)]
    [InlineData(500, null, "Unauthorized", true)]
    [InlineData(500, null, "authentication failed", true)]
    [InlineData(500, null, "Invalid API key", true)]
    [InlineData(500, null, "The token has expired", true)]
    [InlineData(500, null, "token limit", false)]
    [InlineData(500, null, "cache expired", false)]
    [InlineData(404, "model_not_found", "access denied", false)]
    public void Failure_IsTheTokensOrNot(int status, string? code, string? message, bool expected) =>
        Assert.Equal(expected, AuthErrors.IsAuthError(status, code, message));

    [Theory]
    [InlineData(TokenPhase.Valid, false, false)]
    [InlineData(TokenPhase.Valid, true, true)]
    [InlineData(TokenPhase.Expiring, false, true)]
    [InlineData(TokenPhase.LastMoments, false, true)]
    [InlineData(TokenPhase.Expired, false, true)]
    public void GatewayTimeout_RefreshesOnlyNearTheEndOrAfterAChange(TokenPhase phase, bool changed, bool expected) =>
        Assert.Equal(expected, AuthErrors.RefreshAfterGatewayTimeout(phase, changed));

    [Theory]
    [InlineData(429, "insufficient_quota", "Free allocated quota exceeded.", true)]
    [InlineData(403, "AllocationQuota.FreeTierOnly", "used up", true)]
    [InlineData(429, "insufficient_quota", "You exceeded your current quota, see #token-limit", false)]
    [InlineData(200, "insufficient_quota", "Free allocated quota exceeded.", false)]
    [InlineData(429, "limit_requests", null, false)]
    public void EndedService_IsToldFromALimit(int status, string? code, string? message, bool expected) =>
        Assert.Equal(expected, AuthErrors.IsServiceEnded(status, code, message));
}
