namespace QwenProxy.Core.Credentials;

/// <summary>
/// Turns a sign-in's <c>resource_url</c> into the base URL that requests (and the token) go to. A reply or a file can name any host, so only
/// https and only hosts of the service, the loopback, or hosts the user allowed are accepted.
/// </summary>
public static class ResourceEndpoint
{
    /// <summary>Where a sign-in without <c>resource_url</c> leads.</summary>
    public static readonly Uri Default = new("https://dashscope.aliyuncs.com/compatible-mode/v1");

    // Not the whole of aliyuncs.com: anybody can rent a storage bucket with a name under it.
    private static readonly string[] s_service =
    [
        "qwen.ai", "*.qwen.ai",
        "dashscope.aliyuncs.com", "*.dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com",
        "*.maas.aliyuncs.com",
    ];

    /// <summary>
    /// The base URL without a trailing slash, ending in <c>/v1</c>; null when the place is refused, and <paramref name="refusal"/> then names it.
    /// <paramref name="allowedHosts"/> are host names, or <c>*.example.com</c> for every host below one.
    /// </summary>
    public static Uri? Resolve(string? resourceUrl, IReadOnlyCollection<string> allowedHosts, out string? refusal)
    {
        refusal = null;
        if (string.IsNullOrWhiteSpace(resourceUrl)) return Default;
        string text = resourceUrl.Trim();
        if (!text.Contains("://", StringComparison.Ordinal)) text = "https://" + text;
        text = text.TrimEnd('/');
        if (!text.EndsWith("/v1", StringComparison.Ordinal)) text += "/v1";
        refusal = Uri.TryCreate(text, UriKind.Absolute, out Uri? url) ? RefusalOf(url, allowedHosts) : "resource_url is not an address";
        return refusal is null ? url : null;
    }

    private static string? RefusalOf(Uri url, IReadOnlyCollection<string> allowedHosts)
    {
        string host = url.IdnHost;
        if (url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0) return $"the address on {host} carries more than a path";
        bool loopback = url.IsLoopback;
        if (url.Scheme != Uri.UriSchemeHttps && !(url.Scheme == Uri.UriSchemeHttp && loopback)) return $"{host} is not reached over https";
        if (loopback || s_service.Any(p => Matches(p, host)) || allowedHosts.Any(p => Matches(p, host))) return null;
        return $"{host} is not a host of the service and was not allowed in the configuration";
    }

    private static bool Matches(string pattern, string host) => pattern.StartsWith("*.", StringComparison.Ordinal)
        ? host.Length > pattern.Length - 1 && host.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase)
        : host.Equals(pattern, StringComparison.OrdinalIgnoreCase);
}
