using QwenProxy.Core.Requests.Quirks;

namespace QwenProxy.Configuration;

/// <summary>The ids that <c>quirks</c> in the configuration may switch off.</summary>
internal static class KnownRules
{
    /// <summary>The rules over requests, and the one that the Messages dialect applies while it translates.</summary>
    public static IReadOnlyCollection<string> All { get; } = [.. QuirkRules.All.Select(r => r.Id), "billing-block"];
}
