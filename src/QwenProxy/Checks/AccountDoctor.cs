using System.Collections.Concurrent;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Credentials;
using QwenProxy.Upstreams;

namespace QwenProxy.Checks;

/// <summary>
/// Checks one account from its file to its models. Every step ends in a finding, and all together end within <see cref="Bound"/>: an account that
/// hangs costs the others nothing. Without <paramref name="mayProbe"/> its key goes to its own host only.
/// </summary>
internal sealed class AccountDoctor(
    AccountAuthorizer authorizer, UpstreamTransport transport, RouteTable routes, ProxySnapshot snapshot, TimeProvider time, bool mayProbe)
{
    /// <summary>All checks of one account; accounts are checked side by side.</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    /// <summary>A sign-in may have to be refreshed first.</summary>
    public static readonly TimeSpan SignInBound = TimeSpan.FromSeconds(10);

    /// <summary>What <see cref="Bound"/> is for this one.</summary>
    public TimeSpan Limit { get; init; } = Bound;

    private readonly ConcurrentDictionary<string, string> _files = new(StringComparer.Ordinal);
    private readonly ModelListCall _call = new(transport, snapshot, time);

    public async Task<AccountReport> CheckAsync(AccountSnapshot account, CancellationToken stop)
    {
        List<Finding> findings = [];
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using Deadline deadline = new(time, Limit, limit);
        try
        {
            if (account.CredentialsPath is { } credentials) findings.Add(CheckFile(account, credentials, $"`{AccountAuthorizer.LoginCommandOf(account)}`"));
            else if (account.KeyFile is { } keyFile) findings.Add(CheckFile(account, keyFile, $"write the key into {keyFile}"));
            await AskAsync(account, findings, limit.Token);
        }
        catch (OperationCanceledException) when (deadline.Passed && !stop.IsCancellationRequested)
        {
            findings.Add(Finding.Fault(CheckName.Endpoint, $"the checks did not end within {Limit.TotalSeconds:0} s", "check the network and try again"));
        }

        return new AccountReport(account, [.. findings.OrderBy(f => f.Check)]);
    }

    /// <summary>A file that several accounts share is checked, and its fault told, with the first of them.</summary>
    private Finding CheckFile(AccountSnapshot account, string path, string missingFix)
    {
        string first = _files.GetOrAdd(Path.GetFullPath(path), account.Name);
        return first == account.Name ? FileChecks.Check(path, missingFix) : Finding.Note(CheckName.File, $"{path} is that of {first}, where it is checked");
    }

    private async Task AskAsync(AccountSnapshot account, List<Finding> findings, CancellationToken stop)
    {
        bool signsIn = account.Kind == AccountKind.QwenOAuth;
        Authorization? authorized = await AuthorizeAsync(account, stop);
        if (authorized is not { BaseUrl: { } baseUrl, Token: var token })
        {
            string late = $"its refresh did not end within {SignInBound.TotalSeconds:0} s";
            findings.Add(authorized is null
                ? Finding.Fault(CheckName.Token, $"the token is over and {late}", "the sign-in itself is kept: check the network and QWEN_OAUTH_BASE_URL, then try again")
                : TokenOf(account, refusal: null, wasTaken: false));
            findings.Add(Finding.Skipped(CheckName.Endpoint, "there is no token to ask with"));
            return;
        }

        ModelListAnswer answer = await AskAsync(account, baseUrl, token, stop);
        if (signsIn && answer.Error is { } error && await InTimeAsync(limit => authorizer.RecoverAsync(account, authorized.Value, error, again: false, limit), stop) == true
            && await AuthorizeAsync(account, stop) is { BaseUrl: { } place, Token: { } renewed })
        {
            (baseUrl, token) = (place, renewed);
            answer = await AskAsync(account, baseUrl, token, stop);
        }

        findings.Add(AnswerChecks.Endpoint(account, baseUrl, answer));
        if (answer.NoAnswer is null) findings.Add(AnswerChecks.Clock(baseUrl.Host, answer.ClockSkew, answer.ClockTolerance));
        if (signsIn) AddSignIn(account, answer, findings);
        else if (answer.NoAnswer is null) await AddKeyAsync(account, baseUrl, answer, findings, stop);
        findings.Add(ModelCheck.Check(account, answer, snapshot, routes));
    }

    private async Task<ModelListAnswer> AskAsync(AccountSnapshot account, Uri baseUrl, string? token, CancellationToken stop)
    {
        ModelListAnswer answer = await _call.AskAsync(baseUrl, token, account, stop);
        if (answer.Error is not { } error) return answer;
        return answer with { Error = error with { Message = ForeignWords.Show(error.Message, HeldSecrets.Of(snapshot).And(token)) } };
    }

    private void AddSignIn(AccountSnapshot account, ModelListAnswer answer, List<Finding> findings)
    {
        bool isAbout = answer.Error is { Kind: FaultKind.InvalidKey or FaultKind.QuotaExhausted or FaultKind.PermissionDenied };
        findings.Add(TokenOf(account, isAbout ? answer.Error : null, answer.IsJson));
        if (authorizer.StateOf(account) is not { ClockSkew: { } skew }) return;
        // How long that call took is not kept; this is the most that its half can be.
        Finding clock = AnswerChecks.Clock("the sign-in server", skew, OAuthClient.CallTimeout / 2);
        if (clock.Result == CheckResult.Fault) findings.Add(clock);
    }

    private Finding TokenOf(AccountSnapshot account, ProxyError? refusal, bool wasTaken)
    {
        CredentialState state = authorizer.StateOf(account) ?? throw new InvalidOperationException($"The account {account.Name} has no sign-in.");
        return TokenCheck.Check(account, state, refusal, wasTaken, time.GetUtcNow());
    }

    private async Task AddKeyAsync(AccountSnapshot account, Uri baseUrl, ModelListAnswer answer, List<Finding> findings, CancellationToken stop)
    {
        if (answer is { IsRefusal: true, Error: { } refusal })
        {
            findings.AddRange(await new RegionCheck(_call, snapshot, mayProbe).ExplainRefusalAsync(account, baseUrl, refusal, stop));
            return;
        }

        bool isProof = answer.Models is not null && account.ApiKey is not null;
        bool isOpen = isProof && (await _call.AskAsync(baseUrl, token: null, headersOf: null, stop)).Models is not null;
        Finding key = AnswerChecks.Key(account, answer, isOpen);
        findings.Add(key);
        if (key.Result == CheckResult.Ok && account.ApiKey is not null) findings.Add(RegionCheck.Confirmed(baseUrl));
    }

    private Task<Authorization?> AuthorizeAsync(AccountSnapshot account, CancellationToken stop) =>
        InTimeAsync(limit => authorizer.AuthorizeAsync(account, limit), stop);

    /// <summary>Null when it took longer than <see cref="SignInBound"/>.</summary>
    private async Task<T?> InTimeAsync<T>(Func<CancellationToken, ValueTask<T>> signIn, CancellationToken stop)
        where T : struct
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using Deadline deadline = new(time, SignInBound, limit);
        try
        {
            return await signIn(limit.Token);
        }
        catch (OperationCanceledException) when (deadline.Passed && !stop.IsCancellationRequested)
        {
            return null;
        }
    }
}
