using System.Collections.Concurrent;
using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Accounts;

/// <summary>
/// Which accounts may serve which model, from the configuration alone. Immutable: a reload builds a new one. How the accounts are doing is
/// the <see cref="AccountPool"/>'s matter.
/// </summary>
public sealed class RouteTable
{
    private const int MostResolved = 256;

    private readonly ImmutableArray<KeyValuePair<string, string>> _aliases;
    private readonly IReadOnlyDictionary<string, ImmutableArray<string>> _fallbacks;

    /// <summary>Routes of names that were asked for. Clients make up any number of names, so there is an end to it.</summary>
    private readonly ConcurrentDictionary<string, RoutePlan> _resolved = new(StringComparer.Ordinal);

    /// <param name="accounts">All accounts; the order breaks ties of priority.</param>
    /// <param name="aliases">Pattern → model, first match wins.</param>
    /// <param name="fallbacks">Model → what may stand in for it, in order.</param>
    public RouteTable(
        IEnumerable<AccountSnapshot> accounts,
        ImmutableArray<KeyValuePair<string, string>> aliases,
        IReadOnlyDictionary<string, ImmutableArray<string>> fallbacks)
    {
        Accounts = [.. accounts.OrderBy(a => a.Priority)];
        _aliases = aliases;
        _fallbacks = fallbacks;
    }

    /// <summary>Sorted by priority.</summary>
    public ImmutableArray<AccountSnapshot> Accounts { get; }

    /// <summary>The route of a model name as a client wrote it: an alias, <c>account/model</c>, or a plain name.</summary>
    public RoutePlan Resolve(string requested)
    {
        if (_resolved.TryGetValue(requested, out RoutePlan? known)) return known;
        RoutePlan plan = Find(requested);
        if (_resolved.Count < MostResolved) _resolved.TryAdd(requested, plan);
        return plan;
    }

    /// <summary>The accounts a model goes to: those that name it and those that take any; when nobody names it, those without a list.</summary>
    public ImmutableArray<AccountSnapshot> AccountsFor(string model)
    {
        bool named = Accounts.Any(a => Names(a, model));
        return [.. Accounts.Where(a => a.AcceptsAnyModel || (named ? Names(a, model) : a.Models.IsEmpty))];
    }

    private RoutePlan Find(string requested)
    {
        string aliased = Alias(requested);
        (string? account, string model) = Split(aliased);
        ImmutableArray<ModelAccounts>.Builder models = ImmutableArray.CreateBuilder<ModelAccounts>();
        AddModel(models, account, model);
        foreach (string fallback in FallbacksOf(requested, aliased, model))
        {
            (string? fallbackAccount, string fallbackModel) = Split(Alias(fallback));
            AddModel(models, fallbackAccount, fallbackModel);
        }

        return new RoutePlan(requested, model, models.ToImmutable());
    }

    private static bool Names(AccountSnapshot account, string model)
    {
        foreach (string pattern in account.Models)
        {
            if (ModelPattern.Matches(pattern, model)) return true;
        }

        return false;
    }

    private string Alias(string name)
    {
        foreach ((string pattern, string target) in _aliases)
        {
            if (ModelPattern.Matches(pattern, name)) return target;
        }

        return name;
    }

    /// <summary>
    /// <c>account/model</c> when the part before the first slash is an account's name. A model whose own name looks like that
    /// (<c>qwen/qwen3.7-max</c>) stays whole when some account names it.
    /// </summary>
    private (string? Account, string Model) Split(string name)
    {
        int slash = name.IndexOf('/', StringComparison.Ordinal);
        if (slash <= 0 || slash == name.Length - 1) return (null, name);
        string account = name[..slash];
        if (!Accounts.Any(a => a.Name == account)) return (null, name);
        return Accounts.Any(a => a.Models.Contains(name)) ? (null, name) : (account, name[(slash + 1)..]);
    }

    private ImmutableArray<string> FallbacksOf(string requested, string aliased, string model)
    {
        if (_fallbacks.TryGetValue(requested, out ImmutableArray<string> found)) return found;
        if (_fallbacks.TryGetValue(aliased, out found)) return found;
        return _fallbacks.TryGetValue(model, out found) ? found : [];
    }

    private void AddModel(ImmutableArray<ModelAccounts>.Builder models, string? account, string model)
    {
        foreach (ModelAccounts known in models)
        {
            if (known.Model == model) return;
        }

        ImmutableArray<AccountSnapshot> accounts = account is null
            ? AccountsFor(model)
            : [.. Accounts.Where(a => a.Name == account && (a.Models.IsEmpty || a.AcceptsAnyModel || Names(a, model)))];
        if (!accounts.IsEmpty) models.Add(new ModelAccounts(model, accounts));
    }
}
