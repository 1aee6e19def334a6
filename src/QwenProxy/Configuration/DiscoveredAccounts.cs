using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Configuration;

/// <summary>
/// The accounts of a user who wrote none: from variables, then from credentials files. They are used in this order, each being asked only
/// when those before it cannot serve; a key a person exported today says more than a file left from last year.
/// </summary>
/// <param name="qwenHome">Where credentials files are looked for; null where sign-ins are kept in a database, whose rows are found later.</param>
internal sealed class DiscoveredAccounts(LoadContext context, string? qwenHome)
{
    public const string OwnCredentials = "qwenproxy_creds.json";
    public const string NamedCredentialsPattern = "qwenproxy_creds_*.json";
    public const string QwenCodeCredentials = "oauth_creds.json";

    /// <summary>The account that a login without a name makes.</summary>
    public const string UnnamedAccount = "qwen";

    private const string NamedPrefix = "qwenproxy_creds_";

    /// <summary>
    /// The services with variables of their own. The default region is the international one: it is where keys of people who read English
    /// documents come from, and client libraries with the same variable do so too. A key of another region gets 401 there.
    /// </summary>
    private static readonly PlanVariables[] s_plans =
    [
        new("coding-plan", "BAILIAN_CODING_PLAN", "BAILIAN_CODING_PLAN_API_KEY", Profiles.CodingPlan),
        new("token-plan", "BAILIAN_TOKEN_PLAN", "BAILIAN_TOKEN_PLAN_API_KEY", Profiles.TokenPlan),
        new("dashscope", "DASHSCOPE", "DASHSCOPE_API_KEY", Profiles.DashScope),
    ];

    private readonly List<AccountSnapshot> _found = [];

    /// <summary>The variables that make an account of a key for this address, in words.</summary>
    public static string VariablesFor(ServiceEndpoint endpoint)
    {
        PlanVariables plan = s_plans.First(p => p.Profile == endpoint.Profile);
        return $"{plan.KeyVariable} with {plan.RegionVariable}={endpoint.Region}";
    }

    /// <summary>Checks every variable, also when a file names accounts and none of these is used: a value that does not parse is a fault.</summary>
    public ImmutableArray<AccountSnapshot> Find(bool areUsed)
    {
        int valuesBefore = context.Values.Count;
        AddGeneric(areUsed);
        foreach (PlanVariables plan in s_plans) AddPlan(plan);
        if (areUsed)
        {
            AddCredentials();
            return [.. _found];
        }

        // Unused accounts are not in force, so they are not listed either.
        context.Values.RemoveRange(valuesBefore, context.Values.Count - valuesBefore);
        return [];
    }

    private void AddGeneric(bool areUsed)
    {
        string? key = context.Sources.Variable("QWEN_API_KEY");
        Uri? url = ReadUrl("QWEN_BASE_URL");
        if (context.Sources.Variable("QWEN_BASE_URL") is null)
        {
            if (key is not null && areUsed)
                context.Fault("QWEN_API_KEY", "needs QWEN_BASE_URL beside it, the address of the server that the key belongs to; " +
                    "for Model Studio set DASHSCOPE_API_KEY instead");
            return;
        }

        Secret? secret = key is null ? null : SecretReader.FromVariable(context, "QWEN_API_KEY", key);
        if (url is null || (key is not null && secret is null)) return;
        AddWithUrl("env", url, "environment QWEN_BASE_URL", Profiles.FromBaseUrl(url), secret, "QWEN_API_KEY", acceptsAny: true);
    }

    private void AddPlan(PlanVariables plan)
    {
        Uri? url = ReadUrl(plan.BaseUrlVariable);
        string origin = "environment " + plan.BaseUrlVariable;
        string region = "intl";
        bool isRegionGood = true;
        if (context.Sources.Variable(plan.RegionVariable) is { } said)
        {
            isRegionGood = plan.Regions.ContainsKey(said);
            if (isRegionGood) region = said;
            else context.Fault(plan.RegionVariable, $"is \"{said}\"; it must be one of {string.Join(", ", plan.Regions.Keys)}");
        }

        bool isUrlGiven = context.Sources.Variable(plan.BaseUrlVariable) is not null;
        if (context.Sources.Variable(plan.KeyVariable) is not { } key) return;
        Secret? secret = SecretReader.FromVariable(context, plan.KeyVariable, key);
        if (secret is null || !isRegionGood || (isUrlGiven && url is null)) return;
        if (url is null)
        {
            url = plan.Regions[region];
            origin = context.Sources.Variable(plan.RegionVariable) is null ? "default" : "environment " + plan.RegionVariable;
        }

        AddWithUrl(plan.Account, url, origin, plan.Profile, secret, plan.KeyVariable, acceptsAny: false);
    }

    private void AddWithUrl(
        string name, Uri url, string urlOrigin, UpstreamProfile profile, Secret? key, string keyVariable, bool acceptsAny)
    {
        string path = "accounts." + name;
        context.Value(path + ".baseUrl", ValueRules.Url.Format(url), urlOrigin);
        string? keyFile = key is null ? null : SecretReader.FileOfVariable(context, keyVariable);
        if (key is not null) context.Value(path + ".apiKey", "***", "environment " + keyVariable);
        context.Value(path + ".profile", profile.Name, "default");
        _found.Add(new AccountSnapshot
        {
            Name = name,
            BaseUrl = url,
            Profile = profile,
            ApiKey = key,
            KeyFile = keyFile,
            AcceptsAnyModel = acceptsAny,
            Priority = _found.Count,
        });
    }

    private void AddCredentials()
    {
        if (qwenHome is null) return;
        context.CredentialsFiles = WatchedInputs.FindCredentials(qwenHome);
        foreach (string file in context.CredentialsFiles)
        {
            string name = file switch
            {
                OwnCredentials => UnnamedAccount,
                QwenCodeCredentials => "qwen-code",
                _ => Path.GetFileNameWithoutExtension(file)[NamedPrefix.Length..],
            };
            if (AccountReader.IsName(name)) AddFile(name, Path.Combine(qwenHome, file));
        }
    }

    private void AddFile(string name, string file)
    {
        // A name a person chose may be that of an account above; the earlier one keeps it.
        if (_found.Exists(a => a.Name.Equals(name, StringComparison.OrdinalIgnoreCase))) return;
        context.Value($"accounts.{name}.credentials", file, "found");
        _found.Add(new AccountSnapshot
        {
            Name = name,
            Kind = AccountKind.QwenOAuth,
            Profile = Profiles.QwenPortal,
            CredentialsPath = file,
            Priority = _found.Count,
        });
    }

    private Uri? ReadUrl(string variable)
    {
        if (context.Sources.Variable(variable) is not { } text) return null;
        if (ValueRules.Url.Read(text, out Uri url)) return url;
        context.Fault(variable, $"is {ValueRules.ShowRefusedUrl(text)}; it must be {ValueRules.Url.Allowed}");
        return null;
    }

    private sealed record PlanVariables(string Account, string Prefix, string KeyVariable, UpstreamProfile Profile)
    {
        public IReadOnlyDictionary<string, Uri> Regions { get; } = ServiceEndpoints.Of(Profile).ToDictionary(e => e.Region, e => e.BaseUrl);

        public string BaseUrlVariable => Prefix + "_BASE_URL";

        public string RegionVariable => Prefix + "_REGION";
    }
}
