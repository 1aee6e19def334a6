using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;

namespace QwenProxy.Checks;

/// <summary>
/// A refused key may be a good one at the wrong address: keys belong to a region and a plan. The kind of key tells some of it; the rest is
/// found by trying the sibling addresses, which sends the key there and is therefore done only when asked for.
/// </summary>
internal sealed class RegionCheck(ModelListCall call, ProxySnapshot snapshot, bool mayProbe)
{
    public async Task<IEnumerable<Finding>> ExplainRefusalAsync(AccountSnapshot account, Uri baseUrl, ProxyError refusal, CancellationToken stop)
    {
        string? key = account.ApiKey?.Reveal();
        string refused = $"the service refuses it (HTTP {refusal.Status}): {refusal.Message}";
        if (key is null) return [Finding.Fault(CheckName.Key, $"none is configured, and the service asks for one (HTTP {refusal.Status})", $"give '{account.Name}' an apiKey")];
        if (!IsOfTheService(account.Profile)) return [Finding.Fault(CheckName.Key, refused, $"put a valid key into the apiKey of '{account.Name}'")];
        ServiceEndpoint[] siblings = [.. SiblingsOf(baseUrl, key)];
        if (mayProbe) return await ProbeAsync(account, key, refused, siblings, stop);
        string probe = $"`qwen-proxy doctor --probe` tries it at {siblings.Length} other addresses of the service; or put a valid key in";
        string? mismatch = Mismatch(account.Profile, key);
        return mismatch is null
            ? [Finding.Fault(CheckName.Key, refused, probe), Finding.Skipped(CheckName.Region, "a key works only in its own region and plan; which this one's are is not known")]
            : [Finding.Skipped(CheckName.Key, refused), Finding.Fault(CheckName.Region, mismatch, $"{Move(account, siblings[0])}; {probe}")];
    }

    /// <summary>For a key that was taken: the region and plan, where the address names them.</summary>
    public static Finding Confirmed(Uri baseUrl) => ServiceEndpoints.OnHostOf(baseUrl) is { } known
        ? Finding.Ok(CheckName.Region, $"{known.Profile}, {known.Region}")
        : Finding.Skipped(CheckName.Region, "the address names none");

    private async Task<IEnumerable<Finding>> ProbeAsync(AccountSnapshot account, string key, string refused, ServiceEndpoint[] siblings, CancellationToken stop)
    {
        Home[] answers = await Task.WhenAll(siblings.Select(s => IsAtHomeAsync(s, key, stop)));
        if (Array.IndexOf(answers, Home.Here) is >= 0 and int at)
        {
            ServiceEndpoint home = siblings[at];
            return
            [
                Finding.Skipped(CheckName.Key, refused),
                Finding.Fault(CheckName.Region, $"the key belongs to {home.Profile}, {home.Region}: it is refused here and taken at {home.BaseUrl.Host}", Move(account, home)),
            ];
        }

        int unknown = answers.Count(a => a == Home.Unknown);
        string elsewhere = $"no other address takes it either: {siblings.Length - unknown} refuse it"
            + (unknown == 0 ? "" : $", {unknown} did not tell ({string.Join(", ", siblings.Where((_, i) => answers[i] == Home.Unknown).Select(s => s.BaseUrl.Host))})");
        return [Finding.Fault(CheckName.Key, refused, "make a new key in the provider's console, in the region and plan of the baseUrl"), Finding.Skipped(CheckName.Region, elsewhere)];
    }

    private enum Home
    {
        Unknown,
        Here,
        Elsewhere,
    }

    /// <summary>A list that is given to anyone proves nothing, so a success is held against an answer without the key.</summary>
    private async Task<Home> IsAtHomeAsync(ServiceEndpoint sibling, string key, CancellationToken stop)
    {
        ModelListAnswer answer = await call.AskAsync(sibling.BaseUrl, key, headersOf: null, stop);
        if (answer.IsRefusal) return Home.Elsewhere;
        if (answer.Models is null) return Home.Unknown;
        ModelListAnswer open = await call.AskAsync(sibling.BaseUrl, token: null, headersOf: null, stop);
        return open.IsRefusal ? Home.Here : Home.Unknown;
    }

    /// <summary>What the kind of the key says by itself; null when it fits or says nothing.</summary>
    private static string? Mismatch(UpstreamProfile profile, string key) => ServiceEndpoints.IsPlanKey(key)
        ? profile == Profiles.DashScope ? "the key is a plan's (sk-sp-), and this is the pay-as-you-go service, which refuses it" : null
        : profile == Profiles.CodingPlan ? "the key is none of the Coding Plan's (they begin with sk-sp-), and the plan refuses it" : null;

    /// <summary>Only where the kind of key may be at home: it goes to no host that is known not to want it.</summary>
    private static IEnumerable<ServiceEndpoint> SiblingsOf(Uri baseUrl, string key)
    {
        ServiceEndpoint? own = ServiceEndpoints.OnHostOf(baseUrl);
        UpstreamProfile unfit = ServiceEndpoints.IsPlanKey(key) ? Profiles.DashScope : Profiles.CodingPlan;
        // The same region first: people mix up plans within a region more than regions within a plan.
        return ServiceEndpoints.All.Where(e => e != own && e.Profile != unfit).OrderBy(e => e.Profile == Profiles.TokenPlan).ThenByDescending(e => e.Region == own?.Region);
    }

    private static bool IsOfTheService(UpstreamProfile profile) => ServiceEndpoints.Of(profile).Any();

    private string Move(AccountSnapshot account, ServiceEndpoint to) => snapshot.AccountsWereDiscovered && account.Name != "env"
        ? $"set {DiscoveredAccounts.VariablesFor(to)}"
        : $"set the baseUrl of '{account.Name}' to {to.BaseUrl.AbsoluteUri}";
}
