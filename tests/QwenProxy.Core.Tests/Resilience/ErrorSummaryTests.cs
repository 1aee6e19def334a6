using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Resilience;

public sealed class ErrorSummaryTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void SeveralAccounts_EachIsToldInTheOrderOfAsking()
    {
        ProxyError busy = Error(FaultKind.RateLimited, 429, "Slow down.");
        ProxyError told = ErrorSummary.OfAttempts(busy, [new("plan", "m", Error(FaultKind.InvalidKey, 401, "Incorrect API key provided.")), new("paygo", "m", busy)], Now);
        Assert.Equal("plan: 401 Incorrect API key provided; paygo: 429 Slow down", told.Message);
        Assert.Equal(429, told.Status);
    }

    [Fact]
    public void OneAccount_KeepsUpstreamsWords()
    {
        ProxyError error = Error(FaultKind.ServerError, 500, "Oops.");
        Assert.Same(error, ErrorSummary.OfAttempts(error, [new("a", "m", error), new("a", "m", error)], Now));
    }

    [Fact]
    public void FaultOfTheRequest_KeepsItsWordsForAgents()
    {
        ProxyError error = Error(FaultKind.ContextTooLong, 400, "prompt is too long: 9 > 8");
        Assert.Equal(error.Message, ErrorSummary.OfAttempts(error, [new("a", "m", Error(FaultKind.InvalidKey, 401, "no")), new("b", "m", error)], Now).Message);
    }

    [Fact]
    public void SpentQuota_HasTheRealTimeInItsFix()
    {
        ProxyError error = Error(FaultKind.QuotaExhausted, 429, "week allocated quota exceeded") with { RetryAfter = TimeSpan.FromHours(124) };
        Assert.Equal("The week quota is used up until 2026-03-15 16:00 UTC: wait for that, or add another account.", ErrorSummary.OfAttempts(error, [new("a", "m", error)], Now).Fix);
    }

    [Fact]
    public void InShort_CountsWhatRepeats()
    {
        ProxyError error = Error(FaultKind.ServerError, 500, "secret words");
        Assert.Equal("a 500 server_error ×2, b 401 invalid_key", ErrorSummary.InShort([new("a", "m", error), new("a", "m", error), new("b", "m", Error(FaultKind.InvalidKey, 401, "x"))]));
        Assert.Null(ErrorSummary.InShort([]));
    }

    private static ProxyError Error(FaultKind kind, int status, string message) => new() { Kind = kind, Source = FaultSource.Upstream, Status = status, Message = message };
}
