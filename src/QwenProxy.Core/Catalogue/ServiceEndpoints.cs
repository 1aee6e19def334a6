using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>One public address of Alibaba's services. A key works at the addresses of its own region and plan only.</summary>
/// <param name="Profile">The plan.</param>
/// <param name="Region">As the variables name it: intl (Singapore), cn (Beijing), us, hk.</param>
/// <param name="BaseUrl">Of the OpenAI-compatible API, without a trailing slash.</param>
public sealed record ServiceEndpoint(UpstreamProfile Profile, string Region, Uri BaseUrl);

/// <summary>
/// The shared addresses, from the vendor's base URL pages of autumn 2026. Workspaces have addresses of their own, which nobody can list.
/// </summary>
public static class ServiceEndpoints
{
    public static ImmutableArray<ServiceEndpoint> All { get; } =
    [
        new(Profiles.CodingPlan, "intl", new Uri("https://coding-intl.dashscope.aliyuncs.com/v1")),
        new(Profiles.CodingPlan, "cn", new Uri("https://coding.dashscope.aliyuncs.com/v1")),
        new(Profiles.TokenPlan, "intl", new Uri("https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1")),
        new(Profiles.TokenPlan, "cn", new Uri("https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1")),
        new(Profiles.DashScope, "intl", new Uri("https://dashscope-intl.aliyuncs.com/compatible-mode/v1")),
        new(Profiles.DashScope, "cn", new Uri("https://dashscope.aliyuncs.com/compatible-mode/v1")),
        new(Profiles.DashScope, "us", new Uri("https://dashscope-us.aliyuncs.com/compatible-mode/v1")),
        new(Profiles.DashScope, "hk", new Uri("https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1")),
    ];

    public static IEnumerable<ServiceEndpoint> Of(UpstreamProfile profile) => All.Where(e => e.Profile == profile);

    /// <summary>The address on the same host, whatever path stands behind it; null for a host that is not listed.</summary>
    public static ServiceEndpoint? OnHostOf(Uri baseUrl)
    {
        ArgumentNullException.ThrowIfNull(baseUrl);
        return All.FirstOrDefault(e => e.BaseUrl.IdnHost.Equals(baseUrl.IdnHost, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>
    /// True for the plans' own keys. They begin with <c>sk-sp-</c>, those of the Coding Plan always and those of the Token Plan as far as is
    /// known; a pay-as-you-go key does not.
    /// </summary>
    public static bool IsPlanKey(string key) => key is not null && key.StartsWith("sk-sp-", StringComparison.Ordinal);
}
