using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Checks;

/// <summary>Are the models that the configuration sends to this account on its list?</summary>
internal static class ModelCheck
{
    public static Finding Check(AccountSnapshot account, ModelListAnswer answer, ProxySnapshot snapshot, RouteTable table)
    {
        if (answer.Models is not { } offered)
        {
            return answer is { IsJson: true, Error: null }
                ? Finding.Fault(CheckName.Models, "the service lists no model", "load a model there, or check baseUrl")
                : Finding.Skipped(CheckName.Models, "there is no list of models to look at");
        }

        string[] wanted = [.. Wanted(account, snapshot, table)];
        string[] missing = [.. wanted.Where(w => !offered.Any(o => ModelPattern.Matches(w, o)))];
        if (missing.Length > 0)
        {
            string fixes = string.Join("; ", missing.Select(m => Instead(m, offered)));
            return Finding.Fault(CheckName.Models, $"not among the {offered.Count} models on offer: {string.Join(", ", missing)}", fixes);
        }

        return Finding.Ok(CheckName.Models, wanted.Length == 0 ? $"{offered.Count} on offer" : $"{offered.Count} on offer, with all that is sent here: {string.Join(", ", wanted)}");
    }

    /// <summary>
    /// The account's own list, and the targets of aliases and fallbacks that no other account could serve. What several serve may be missing at one.
    /// </summary>
    private static IEnumerable<string> Wanted(AccountSnapshot account, ProxySnapshot snapshot, RouteTable table)
    {
        IEnumerable<string> targets = snapshot.Models.Aliases.Select(a => a.Value).Concat(snapshot.Models.Fallbacks.SelectMany(f => f.Value.Prepend(f.Key)));
        IEnumerable<string> only = targets.SelectMany(t => table.Resolve(t).Models).Where(m => m.Accounts is [{ } one] && one.Name == account.Name).Select(m => m.Model);
        return account.Models.Concat(only).Distinct(StringComparer.Ordinal);
    }

    private static string Instead(string missing, IReadOnlyList<string> offered)
    {
        string? near = ModelCatalogue.Retired.TryGetValue(missing, out string? successor) && offered.Contains(successor) ? successor : Spelling.Nearest(missing, offered);
        return near is null ? $"take {missing} out of the configuration, or choose from `qwen-proxy models`" : $"write {near} instead of {missing}";
    }
}
