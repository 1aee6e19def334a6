using System.Collections.Frozen;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;

namespace QwenProxy.Upstreams;

/// <summary>Which headers cross the proxy. Both ways are allow lists: a header that nobody thought about stays on its side.</summary>
internal static class HeaderAllowList
{
    /// <summary>What a client may say to an upstream. Keys, cookies, session ids and addresses of the client are not among it.</summary>
    private static readonly FrozenSet<string> ToUpstream = FrozenSet.ToFrozenSet(
        ["User-Agent", "Accept-Language", "OpenAI-Beta", "OpenAI-Organization", "OpenAI-Project", "anthropic-version", "anthropic-beta", "HTTP-Referer", "X-Title", "X-OpenRouter-Title", "traceparent", "tracestate"],
        StringComparer.OrdinalIgnoreCase);

    private static readonly string[] ToUpstreamPrefixes = ["X-DashScope-", "X-Stainless-"];

    private static readonly FrozenSet<string> ToClient = FrozenSet.ToFrozenSet(
        ["Content-Disposition", "Content-Language", "ETag", "Last-Modified", "Cache-Control", "X-Generation-Id"],
        StringComparer.OrdinalIgnoreCase);

    private static readonly string[] ToClientPrefixes = ["x-ratelimit-", "anthropic-ratelimit-", "modelscope-ratelimit-", "openai-", "x-dashscope-"];

    public static void CopyToUpstream(HttpRequest client, HttpRequestMessage upstream)
    {
        foreach ((string name, StringValues values) in client.Headers)
        {
            if (!ToUpstream.Contains(name) && !StartsWithAny(name, ToUpstreamPrefixes)) continue;
            foreach (string? value in values) upstream.Headers.TryAddWithoutValidation(name, HeaderText.Clean(value ?? ""));
        }
    }

    /// <summary>The account's own headers win over everything: they are what its owner wrote.</summary>
    public static void ApplyAccount(AccountSnapshot account, HttpRequestMessage upstream, string? token)
    {
        if (token is not null) upstream.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        foreach ((string name, string value) in account.Headers)
        {
            upstream.Headers.Remove(name);
            if (!upstream.Headers.TryAddWithoutValidation(name, value)) upstream.Content?.Headers.TryAddWithoutValidation(name, value);
        }
    }

    /// <param name="secrets">What must not come out, also when upstream repeats it.</param>
    public static void CopyToClient(HttpResponseMessage upstream, HttpResponse client, SecretWords secrets)
    {
        Copy(upstream.Headers, client, secrets);
        Copy(upstream.Content.Headers, client, secrets);
        if (upstream.Headers.NonValidated.TryGetValues("x-request-id", out HeaderStringValues ids)) client.Headers["x-upstream-request-id"] = Fit(ids, secrets);
    }

    /// <summary>The headers of a failed response that say something about the failure.</summary>
    public static UpstreamHeaders OfFailure(HttpResponseMessage upstream) => UpstreamHeaders.From(upstream.Headers.Concat(upstream.Content.Headers));

    private static void Copy(HttpHeaders headers, HttpResponse client, SecretWords secrets)
    {
        foreach ((string name, HeaderStringValues values) in headers.NonValidated)
        {
            if (!ToClient.Contains(name) && !StartsWithAny(name, ToClientPrefixes)) continue;
            client.Headers[name] = Fit(values, secrets);
        }
    }

    private static StringValues Fit(HeaderStringValues values, SecretWords secrets)
    {
        StringValues fit = default;
        foreach (string value in values) fit = StringValues.Concat(fit, HeaderText.Clean(secrets.Hide(value)));
        return fit;
    }

    private static bool StartsWithAny(string name, string[] prefixes)
    {
        foreach (string prefix in prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)) return true;
        }

        return false;
    }
}
