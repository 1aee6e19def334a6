using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>The windows of one plan as its vendor states them.</summary>
/// <param name="Profile">The kind of upstream it belongs to.</param>
/// <param name="Name">As <c>quota.plan</c> names it; empty for what is known while nobody says which plan it is.</param>
/// <param name="Source">Who says so.</param>
/// <param name="AsOf">When it was read.</param>
public sealed record QuotaPlan(string Profile, string Name, ImmutableArray<QuotaRule> Windows, string Source, DateOnly AsOf);

/// <summary>
/// What the plans allow. Vendors change this without notice, so each has its source and date, all of it can be overridden in the configuration, and what
/// upstream says counts more. A key does not tell which plan it belongs to: without <c>quota.plan</c> the windows are counted and their limits are not known.
/// </summary>
public static class QuotaPlans
{
    private const string CodingPlanSource = "Model Studio, Coding Plan FAQ; resets also in its answers to users";
    private const string TokenPlanSource = "Model Studio, Token Plan usage and quota";
    private const string ModelScopeSource = "ModelScope, API-Inference limits and its response headers";

    private static readonly DateOnly s_read = new(2026, 11, 22);

    public static ImmutableArray<QuotaPlan> All { get; } =
    [
        Coding("", null, null, null),
        Coding("lite", 1_200, 9_000, 18_000),
        Coding("pro", 6_000, 45_000, 90_000),
        Token("", null),
        Token("lite", 11_500),
        Token("essential", 25_500),
        Token("standard", 45_000),
        Token("pro", 180_000),
        // The limit of a single model differs and changes: its header tells it.
        new(
            "modelscope",
            "",
            [
                new(QuotaUnit.Requests, QuotaPeriod.Day) { Limit = 2_000, Headers = "modelscope-ratelimit-requests" },
                new(QuotaUnit.Requests, QuotaPeriod.Day) { EachModel = true, Headers = "modelscope-ratelimit-model-requests" },
            ],
            ModelScopeSource,
            s_read),
    ];

    /// <summary>The plan of that name, or what is known of the profile without one; null when it has none.</summary>
    public static QuotaPlan? Find(string profile, string name = "") => All.FirstOrDefault(p => p.Profile == profile && p.Name == name);

    /// <summary>The names that <c>quota.plan</c> may have at this profile.</summary>
    public static IEnumerable<string> NamesOf(string profile) => All.Where(p => p.Profile == profile && p.Name.Length > 0).Select(p => p.Name);

    private static QuotaPlan Coding(string name, long? hours, long? week, long? month) => new(
        "coding-plan",
        name,
        [
            new(QuotaUnit.Requests, QuotaPeriod.Hours) { Hours = 5, Limit = hours },
            new(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = week },
            new(QuotaUnit.Requests, QuotaPeriod.Month) { Limit = month },
        ],
        CodingPlanSource,
        s_read);

    private static QuotaPlan Token(string name, long? month) => new("token-plan", name, [new(QuotaUnit.Credits, QuotaPeriod.Month) { Limit = month }], TokenPlanSource, s_read);
}
