namespace QwenProxy.Core.Credentials;

/// <summary>What a request's failure says about the token it carried.</summary>
public enum AuthFailure
{
    /// <summary>The upstream refused the token (<see cref="AuthErrors.IsAuthError"/>).</summary>
    Refused,

    /// <summary>A 504: the token's fault only when it was about to end; otherwise the gateway's own limit.</summary>
    GatewayTimeout,
}

/// <summary>Tells a refused token from the failures that only look like one. Works on a status line and on errors inside a stream alike.</summary>
public static class AuthErrors
{
    private static readonly string[] s_tokenCodes = ["invalid_api_key", "invalidapikey", "invalid_access_token", "invalidaccesstoken"];

    // Refusals that a new token of the same account would meet again.
    private static readonly string[] s_otherCodes =
    [
        "quota", "throttling", "limit", "access_denied", "accessdenied", "permission", "unpurchased", "arrearage", "bill",
        "model_not_found", "content_filter", "inspection",
    ];

    private static readonly string[] s_quotaMessages = ["quota exceeded", "exceeded your current quota", "insufficient_quota", "insufficient quota"];

    private static readonly string[] s_tokenMessages =
        ["unauthorized", "forbidden", "invalid api key", "invalid access token", "token expired", "authentication", "access denied"];

    /// <summary>
    /// True when refreshing the token and asking once more is worth it. <paramref name="status"/> may be 200 (or 0) for an error inside a stream.
    /// </summary>
    public static bool IsAuthError(int status, string? code, string? message)
    {
        // A 400 is about the request and a 504 about time, whatever words they carry; see RefreshAfterGatewayTimeout for the latter.
        if (status is 400 or 504) return false;
        if (status == 401 || IsOneOf(code, s_tokenCodes)) return true;
        if (Holds(code, s_otherCodes) || Holds(message, s_quotaMessages)) return false;
        if (status == 403) return true;
        return Holds(message, s_tokenMessages) || (Contains(message, "token") && Contains(message, "expired"));
    }

    /// <summary>
    /// True when a 504 before the first byte may be the token's: it was inside its lead window, or the file on disk already holds another one.
    /// A fresh token cannot be the cause, and a second wait of minutes would help nobody.
    /// </summary>
    public static bool RefreshAfterGatewayTimeout(TokenPhase phase, bool changedOnDisk) => changedOnDisk || phase != TokenPhase.Valid;

    /// <summary>
    /// True when the answer is how the ended free service says no to a sign-in: its own quota words under 429 or 403. A rate limit is something else.
    /// </summary>
    public static bool IsServiceEnded(int status, string? code, string? message) =>
        status is 429 or 403 && (Contains(code, "FreeTierOnly") || Contains(message, "free allocated quota exceeded"));

    private static bool IsOneOf(string? text, string[] words) => text is not null && words.Contains(text, StringComparer.OrdinalIgnoreCase);

    private static bool Holds(string? text, string[] words) => text is not null && words.Any(w => Contains(text, w));

    private static bool Contains(string? text, string word) => text is not null && text.Contains(word, StringComparison.OrdinalIgnoreCase);
}
