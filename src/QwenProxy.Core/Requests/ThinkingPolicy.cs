using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests;

/// <summary>Who decides whether a model thinks.</summary>
public enum ThinkingPolicy
{
    /// <summary>The client. One that says nothing gets what its dialect means by that.</summary>
    Client,

    /// <summary>It thinks unless the client says no.</summary>
    On,

    /// <summary>It does not think, whatever the client says.</summary>
    Off,
}

/// <summary>
/// The user's word on thinking for each model, in the order written; the first pattern that matches wins, and where none does the client decides.
/// </summary>
public sealed class ThinkingPolicies(ImmutableArray<KeyValuePair<string, ThinkingPolicy>> entries)
{
    public static ThinkingPolicies None { get; } = new([]);

    /// <param name="asked">The model's name as the client wrote it.</param>
    /// <param name="model">The name it stands for; an account before it does not count.</param>
    public ThinkingPolicy For(string asked, string model)
    {
        string bare = model[(model.LastIndexOf('/') + 1)..];
        foreach ((string pattern, ThinkingPolicy policy) in entries)
        {
            if (ModelPattern.Matches(pattern, asked) || ModelPattern.Matches(pattern, model) || ModelPattern.Matches(pattern, bare)) return policy;
        }

        return ThinkingPolicy.Client;
    }

    /// <summary>The wish of a client that says what it wants in the request's own fields, which are not overruled; null leaves all to them.</summary>
    public static ThinkingWish? WishOf(ThinkingPolicy policy) => policy == ThinkingPolicy.Client ? null : new ThinkingWish(policy == ThinkingPolicy.On, null, null);
}
