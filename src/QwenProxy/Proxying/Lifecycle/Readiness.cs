using QwenProxy.Configuration;
using QwenProxy.Proxying.Attempts;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>Whether a request could be served now.</summary>
internal sealed class Readiness(CurrentConfiguration configuration, DrainState drain, Router router)
{
    /// <summary>Why not, in a person's words; null when it could.</summary>
    public string? Obstacle()
    {
        if (drain.IsDraining) return "The proxy is stopping.";
        if (configuration.Snapshot.Accounts.IsEmpty) return "No account is configured. Run `qwen-proxy login`, or set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL.";
        return router.WhyNotReady();
    }
}
