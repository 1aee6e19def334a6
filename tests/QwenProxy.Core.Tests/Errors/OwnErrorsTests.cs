using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Errors;

public sealed class OwnErrorsTests
{
    private static readonly TimeSpan Span = TimeSpan.FromSeconds(12.5);

    public static TheoryData<string, int, ProxyError> All => new()
    {
        { "no_account", 401, OwnErrors.NoAccount() },
        { "account_signed_out", 401, OwnErrors.AccountSignedOut("me") },
        { "upstream_timeout", 504, OwnErrors.ConnectTimeout(Span) },
        { "upstream_timeout", 504, OwnErrors.FirstTokenTimeout(Span) },
        { "upstream_timeout", 504, OwnErrors.IdleTimeout(Span) },
        { "upstream_timeout", 504, OwnErrors.LifetimeLimit(Span) },
        { "upstream_unreachable", 502, OwnErrors.Unreachable("Connection refused (x:1)") },
        { "upstream_unreachable", 502, OwnErrors.Unreachable(new IOException("outer", new IOException("inner"))) },
        { "upstream_protocol_error", 502, OwnErrors.ProtocolError("it sent nonsense") },
        { "upstream_protocol_error", 502, OwnErrors.Cut() },
        { "upstream_protocol_error", 502, OwnErrors.Cut(new IOException("reset")) },
        { "upstream_protocol_error", 502, OwnErrors.NotAStream("text/plain") },
        { "upstream_protocol_error", 502, OwnErrors.WebPage() },
        { "upstream_protocol_error", 502, OwnErrors.EmptyAnswer() },
        { "circuit_open", 503, OwnErrors.CircuitOpen(Span) },
        { "all_accounts_cooling", 503, OwnErrors.AccountsCooling(Span) },
        { "draining", 503, OwnErrors.Draining(Span) },
        { "too_many_requests", 503, OwnErrors.TooManyRequests(4096, Span) },
        { "queue_full", 503, OwnErrors.QueueFull(TimeSpan.Zero, 512) },
        { "queue_full", 503, OwnErrors.QueueFull(Span, 1) },
        { "client_limit", 429, OwnErrors.ClientLimit("requestsPerMinute", "'alice' has begun 60 requests within a minute and may begin 60", Span) },
        { "quota_reserved", 429, OwnErrors.QuotaReserved("plan", "week", 20, "alice, bob and clients of priority -10 or before", new DateTimeOffset(2026, 12, 6, 16, 0, 0, TimeSpan.Zero), new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.Zero)) },
        { "quota_used_up", 429, OwnErrors.QuotaUsedUp("plan", "week", new DateTimeOffset(2026, 12, 6, 16, 0, 0, TimeSpan.Zero), new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.Zero)) },
        { "model_not_allowed", 403, OwnErrors.ModelNotAllowed("m", ["a", "b-*"]) },
        { "request_too_large", 413, OwnErrors.RequestTooLarge(64 * 1024 * 1024) },
        { "invalid_request", 400, OwnErrors.InvalidRequest("The body is empty.", "messages") },
        { "invalid_api_key", 401, OwnErrors.InvalidApiKey() },
        { "model_not_found", 404, OwnErrors.ModelNotFound("m") },
        { "client_gone", 499, OwnErrors.ClientGone() },
        { "internal_error", 500, OwnErrors.Internal() },
    };

    [Theory]
    [MemberData(nameof(All))]
    public void EachOwnError_HasItsStableCodeAndStatus(string code, int status, ProxyError error)
    {
        Assert.Equal((code, status), (error.Code, error.Status));
        Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
        Assert.InRange(error.Message.Length, 10, 220);
        Assert.Equal(status is 503 or 429, error.RetryAfter is not null);
    }

    [Fact]
    public void Timeouts_NameTheSettingToRaise()
    {
        Assert.Contains("timeouts.connectSeconds", OwnErrors.ConnectTimeout(Span).Message, StringComparison.Ordinal);
        Assert.Contains("timeouts.firstTokenSeconds", OwnErrors.FirstTokenTimeout(Span).Message, StringComparison.Ordinal);
        Assert.Contains("READ_TIMEOUT_SECONDS", OwnErrors.IdleTimeout(Span).Message, StringComparison.Ordinal);
        Assert.Contains(" STREAMING_TIMEOUT_SECONDS", OwnErrors.LifetimeLimit(Span).Message, StringComparison.Ordinal);
        Assert.Contains(" REQUEST_TIMEOUT_SECONDS", OwnErrors.LifetimeLimit(Span, streaming: false).Message, StringComparison.Ordinal);
        Assert.Contains("12.5 s", OwnErrors.IdleTimeout(Span).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SignedOut_NamesTheLoginCommand() => Assert.Contains("qwen-proxy login", OwnErrors.AccountSignedOut("me").Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0.2, 1)]
    [InlineData(1.01, 2)]
    [InlineData(30, 30)]
    public void RetryAfter_IsWholeSecondsAndNeverZero(double wait, double told) =>
        Assert.Equal(TimeSpan.FromSeconds(told), OwnErrors.CircuitOpen(TimeSpan.FromSeconds(wait)).RetryAfter);
}
