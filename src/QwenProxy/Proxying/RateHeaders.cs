using System.Globalization;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Clients;

namespace QwenProxy.Proxying;

/// <summary>What is left to a client that has limits, in OpenAI's names and for Messages also in Anthropic's. They take the place of an upstream's own.</summary>
internal static class RateHeaders
{
    public static void Write(Exchange exchange)
    {
        if (exchange is not { Standing: { } standing, Client.Limits: { } limits }) return;
        IHeaderDictionary headers = exchange.Http.Response.Headers;
        bool anthropic = exchange.Path.StartsWith("/v1/messages", StringComparison.Ordinal);
        DateTimeOffset now = exchange.Time.GetUtcNow();
        if (standing.RequestsLeft is { } requests) Write("requests", limits.RequestsPerMinute!.Value, requests, standing.RequestsReset);
        if (standing.TokensLeft is { } tokens) Write("tokens", limits.TokensPerDay!.Value, tokens, standing.TokensReset);

        void Write(string what, long limit, long left, DateTimeOffset reset)
        {
            string limitText = limit.ToString(CultureInfo.InvariantCulture);
            string leftText = left.ToString(CultureInfo.InvariantCulture);
            headers[$"x-ratelimit-limit-{what}"] = limitText;
            headers[$"x-ratelimit-remaining-{what}"] = leftText;
            headers[$"x-ratelimit-reset-{what}"] = Span(reset - now);
            if (!anthropic) return;
            headers[$"anthropic-ratelimit-{what}-limit"] = limitText;
            headers[$"anthropic-ratelimit-{what}-remaining"] = leftText;
            headers[$"anthropic-ratelimit-{what}-reset"] = reset.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        }
    }

    /// <summary>As OpenAI writes it: <c>20ms</c>, <c>1s</c>, <c>6m0s</c>, <c>8h12m3s</c>. Rounded up, so that nothing is promised too early.</summary>
    internal static string Span(TimeSpan span)
    {
        if (span <= TimeSpan.Zero) return "0s";
        if (span < TimeSpan.FromSeconds(1)) return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(span.TotalMilliseconds)}ms");
        long seconds = (long)Math.Ceiling(span.TotalSeconds);
        string text = string.Create(CultureInfo.InvariantCulture, $"{seconds % 60}s");
        if (seconds >= 60) text = string.Create(CultureInfo.InvariantCulture, $"{seconds / 60 % 60}m{text}");
        return seconds >= 3600 ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}h{text}") : text;
    }
}
