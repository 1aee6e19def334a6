using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;

namespace QwenProxy.Checks;

/// <summary>What one answer says of the way there, of the clocks, and of the key. Decides only; it asks nobody.</summary>
internal static class AnswerChecks
{
    /// <summary>Clocks further apart than this are a fault: sign-ins and signatures begin to fail somewhere.</summary>
    public static readonly TimeSpan ClockBound = TimeSpan.FromSeconds(60);

    public static Finding Endpoint(AccountSnapshot account, Uri baseUrl, ModelListAnswer answer)
    {
        string host = baseUrl.Authority;
        if (answer.NoAnswer is { } why) return Finding.Fault(CheckName.Endpoint, $"{host} cannot be used: {why}", answer.NoAnswerFix);
        string said = $"{host} answers HTTP {answer.Status}";
        bool signsIn = account.Kind == AccountKind.QwenOAuth;
        string rightPath = signsIn ? "sign in again: the address comes from the sign-in (resource_url in its file)"
            : ServiceEndpoints.OnHostOf(baseUrl) is { } known && known.BaseUrl.AbsolutePath != baseUrl.AbsolutePath
            ? $"set the baseUrl of '{account.Name}' to {known.BaseUrl.AbsoluteUri}"
            : $"check the path in the baseUrl of '{account.Name}'; most servers want it to end in /v1";
        return answer switch
        {
            { Status: >= 300 and < 400 } => Finding.Fault(CheckName.Endpoint, said + ", a redirect, which no key is sent after", rightPath),
            { Status: < 300, IsJson: false, Error: null } => Finding.Fault(CheckName.Endpoint, said + " with something that is no API's answer, such as a web page", rightPath),
            { Status: 404 or 405 } when !IsClientGate(answer) => HasList(account.Profile)
                ? Finding.Fault(CheckName.Endpoint, said + " for its list of models: the path is wrong", rightPath)
                : Finding.Note(CheckName.Endpoint, said + " for a list of models: it has none, or the path is wrong", signsIn ? null : rightPath),
            { Error.Kind: FaultKind.ServerError or FaultKind.Overloaded } =>
                Finding.Fault(CheckName.Endpoint, said + ": the service fails", "wait and try again; when it stays, check baseUrl and the provider's status page"),
            _ => Finding.Ok(CheckName.Endpoint, $"{said} in {answer.Took.TotalMilliseconds:0} ms"),
        };
    }

    /// <summary>The skew counts only as far as it is certain, so that a slow network is not taken for a wrong clock.</summary>
    public static Finding Clock(string whose, TimeSpan? skew, TimeSpan tolerance)
    {
        if (skew is not { } ahead) return Finding.Skipped(CheckName.Clock, $"{whose} sent no date to compare with");
        string where = ahead.Duration() <= tolerance ? "agrees with" : $"is {TokenCheck.Span(ahead)} {(ahead > TimeSpan.Zero ? "ahead of" : "behind")}";
        string apart = $"{whose} {where} this machine (± {TokenCheck.Span(tolerance)}; up to {ClockBound.TotalSeconds:0} s is fine)";
        return ahead.Duration() - tolerance <= ClockBound
            ? Finding.Ok(CheckName.Clock, apart)
            : Finding.Fault(CheckName.Clock, apart, "set this machine's clock (on Linux `sudo timedatectl set-ntp true`), unless only that service is off");
    }

    /// <summary>
    /// The key, as far as the answer to it tells. A refusal is not among it: whose key it is then has to be found out
    /// (<see cref="RegionCheck"/>).
    /// </summary>
    /// <param name="account">Whose key it is.</param>
    /// <param name="answer">With the key.</param>
    /// <param name="isOpen">True when the same list is given to callers without a key, so that a success proves nothing.</param>
    public static Finding Key(AccountSnapshot account, ModelListAnswer answer, bool isOpen)
    {
        string words = answer.Error?.Message ?? "";
        string console = answer.Error?.Fix ?? "look at the key in the provider's console";
        if (IsClientGate(answer)) return Finding.Skipped(CheckName.Key, $"the plan answers coding agents only, so the key cannot be tried from here: {words}");
        return answer.Error?.Kind switch
        {
            FaultKind.PermissionDenied or FaultKind.Billing or FaultKind.QuotaExhausted => Finding.Fault(CheckName.Key, $"the key may not be used now (HTTP {answer.Status}): {words}", console),
            FaultKind.RateLimited or FaultKind.ConcurrencyLimited => Finding.Note(CheckName.Key, $"the service is at its limit, so nothing more is known of the key: {words}"),
            _ when answer.Status is 0 or >= 300 || !answer.IsJson => Finding.Skipped(CheckName.Key, "the answer does not tell"),
            _ when account.ApiKey is null && account.Kind == AccountKind.ApiKey => Finding.Ok(CheckName.Key, "none is configured and none is asked for"),
            _ when isOpen => Finding.Skipped(CheckName.Key, "the service shows its models to anyone, so nothing is known of the key until a request uses it"),
            _ => Finding.Ok(CheckName.Key, "the service takes it"),
        };
    }

    public static bool IsClientGate(ModelListAnswer answer) =>
        answer.Error is { Kind: FaultKind.ClientGate } gate && gate.Message.Contains("coding agent", StringComparison.OrdinalIgnoreCase);

    /// <summary>Of the portal and of servers of unknown make nobody knows whether they list their models.</summary>
    private static bool HasList(UpstreamProfile profile) => profile != Profiles.Generic && profile != Profiles.QwenPortal;
}
