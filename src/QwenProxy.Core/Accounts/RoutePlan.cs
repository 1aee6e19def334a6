using System.Collections.Immutable;

namespace QwenProxy.Core.Accounts;

/// <summary>One model of a route and the accounts that may serve it, in configured order of priority.</summary>
public sealed record ModelAccounts(string Model, ImmutableArray<AccountSnapshot> Accounts);

/// <summary>Where a request may go: the model asked for (after aliases), then its fallbacks. Models without any account are left out.</summary>
/// <param name="Requested">The name the client wrote.</param>
/// <param name="Model">The name after aliases and without an account prefix.</param>
/// <param name="Models">In the order to try; empty when nobody serves any of them.</param>
public sealed record RoutePlan(string Requested, string Model, ImmutableArray<ModelAccounts> Models)
{
    public bool IsEmpty => Models.IsEmpty;

    public AccountSnapshot? Find(string account)
    {
        foreach (ModelAccounts model in Models)
        {
            foreach (AccountSnapshot candidate in model.Accounts)
            {
                if (candidate.Name == account) return candidate;
            }
        }

        return null;
    }
}
