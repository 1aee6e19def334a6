using System.Collections.Immutable;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Storage;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>Whether a request could be served now.</summary>
internal sealed class Readiness(CurrentConfiguration configuration, DrainState drain, AccountStates states, FleetView? fleet = null)
{
    /// <summary>Why not, in a person's words; null when it could.</summary>
    public string? Obstacle()
    {
        if (drain.IsDraining) return "The proxy is stopping.";
        if (configuration.Snapshot.Accounts.IsEmpty) return "No account is configured. Run `qwen-proxy login`, or set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL.";
        ImmutableArray<KeyValuePair<AccountSnapshot, AccountState>> all = states.All();
        return all.Any(a => a.Value.IsReady) ? null : string.Join("; ", all.Select(a => $"{a.Key.Name}: {a.Value.Says}"));
    }

    public bool IsDraining => drain.IsDraining;

    /// <summary>Requests that run.</summary>
    public int Running => drain.Active;

    /// <summary>What is not as it should be although requests are served; null when all is well.</summary>
    public string? Degraded() => fleet?.Degraded();

    /// <summary>When the first account is ready again, where that is known.</summary>
    public DateTimeOffset? ReadyAt() => states.All().Min(a => a.Value.Until);
}
