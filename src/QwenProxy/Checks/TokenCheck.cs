using System.Globalization;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Core.Errors;
using QwenProxy.Credentials;
using QwenProxy.Upstreams;

namespace QwenProxy.Checks;

/// <summary>What there is to say of a sign-in, once the service has been asked with it.</summary>
internal static class TokenCheck
{
    /// <param name="account">An OAuth account.</param>
    /// <param name="state">As its broker sees it now.</param>
    /// <param name="refusal">What the service said to its token, where it refused one that was fresh; null when it took it or was not reached.</param>
    /// <param name="wasTaken">True when the service answered to the token with what was asked for.</param>
    /// <param name="now">By this machine's clock.</param>
    public static Finding Check(AccountSnapshot account, CredentialState state, ProxyError? refusal, bool wasTaken, DateTimeOffset now)
    {
        string login = AccountAuthorizer.LoginCommandOf(account);
        string signIn = $"`{login}`. {SignInErrors.EndedSentence}";
        if (refusal is not null && AuthErrors.IsServiceEnded(refusal.Status, refusal.Code, refusal.Message))
            return Finding.Fault(CheckName.Token, $"the service no longer serves sign-ins: {refusal.Message}", SignInErrors.EndedSentence);
        if (state.Kind == CredentialStateKind.SignedOut) return Finding.Fault(CheckName.Token, $"signed out: {Show(state.Why)}", signIn);
        if (refusal is not null)
            return Finding.Fault(CheckName.Token, $"the service refuses the token (HTTP {refusal.Status}) and no newer one could be had: {refusal.Message}", signIn);
        if (state.IsUnsaved)
            return Finding.Fault(CheckName.Token, $"a refreshed token could not be written to {state.FilePath}, which now holds a used one", $"make room or allow writing there, then `{login}`");
        if (state.Kind == CredentialStateKind.Expired)
            return Finding.Fault(CheckName.Token, $"the token is over and its refresh fails: {Show(state.Why)}", "the sign-in itself is kept: check the network and QWEN_OAUTH_BASE_URL, then try again");
        string lasts = $"{Age(state.FilePath, now)}lasts {Span((state.ExpiresAt ?? now) - now)} more{(wasTaken ? "" : "; whether the service takes it could not be seen")}";
        return state.Why is { } why ? Finding.Note(CheckName.Token, $"the token {lasts}, but {Show(why)}", signIn) : Finding.Ok(CheckName.Token, $"the token {lasts}");
    }

    /// <summary>Seconds, minutes, hours or days, whichever says it in a number a person takes in.</summary>
    public static string Span(TimeSpan span)
    {
        TimeSpan length = span.Duration();
        (double count, string unit) = length.TotalMinutes < 2 ? (length.TotalSeconds, "s")
            : length.TotalHours < 2 ? (length.TotalMinutes, "min")
            : length.TotalDays < 2 ? (length.TotalHours, "h") : (length.TotalDays, "days");
        return string.Create(CultureInfo.InvariantCulture, $"{count:0.#} {unit}");
    }

    private static string Show(string? why) => ForeignWords.Show(why ?? "the reason is not known");

    private static string Age(string file, DateTimeOffset now) =>
        File.Exists(file) ? $"was written {Span(now - File.GetLastWriteTimeUtc(file))} ago and " : "";
}
