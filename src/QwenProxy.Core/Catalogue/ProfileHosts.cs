using System.Net;
using System.Net.Sockets;

namespace QwenProxy.Core.Catalogue;

/// <summary>Which host belongs to which profile. Order matters: the plans' hosts lie below the domains of the pay-as-you-go service.</summary>
internal static class ProfileHosts
{
    public static UpstreamProfile? Find(Uri baseUrl)
    {
        string host = baseUrl.IdnHost.TrimEnd('.').ToLowerInvariant();
        return FromName(host) ?? (IsLocal(host) ? FromPort(baseUrl.Port) : null);
    }

    private static UpstreamProfile? FromName(string host)
    {
        if (host is "coding.dashscope.aliyuncs.com" or "coding-intl.dashscope.aliyuncs.com") return Profiles.CodingPlan;
        if (host.StartsWith("token-plan.", StringComparison.Ordinal) && IsBelow(host, "maas.aliyuncs.com")) return Profiles.TokenPlan;
        if (IsBelow(host, "maas.aliyuncs.com")) return Profiles.DashScope;
        if (IsOrBelow(host, "dashscope.aliyuncs.com")
            || IsOrBelow(host, "dashscope-intl.aliyuncs.com") || IsOrBelow(host, "dashscope-us.aliyuncs.com"))
            return Profiles.DashScope;
        if (host is "portal.qwen.ai") return Profiles.QwenPortal;
        if (IsOrBelow(host, "openrouter.ai")) return Profiles.OpenRouter;
        if (IsOrBelow(host, "ollama.com")) return Profiles.Ollama;
        if (host is "api-inference.modelscope.cn" or "api-inference.modelscope.ai") return Profiles.ModelScope;
        return null;
    }

    /// <summary>Port 8080 is not here: llama.cpp uses it, and so does everything else; it also announced to move away from it.</summary>
    private static UpstreamProfile? FromPort(int port) => port switch
    {
        8000 => Profiles.Vllm,
        30000 => Profiles.SgLang,
        11434 => Profiles.Ollama,
        1234 => Profiles.LmStudio,
        _ => null,
    };

    /// <summary>A port says something only where a person runs the server: this machine, a private address, or a name without a dot.</summary>
    private static bool IsLocal(string host)
    {
        if (host is "localhost" || host.EndsWith(".local", StringComparison.Ordinal)) return true;
        if (!IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address)) return !host.Contains('.', StringComparison.Ordinal);
        if (IPAddress.IsLoopback(address)) return true;
        if (address.AddressFamily == AddressFamily.InterNetworkV6) return address.IsIPv6UniqueLocal || address.IsIPv6LinkLocal;
        byte[] b = address.GetAddressBytes();
        return b[0] == 10 || (b[0] == 172 && b[1] is >= 16 and <= 31) || (b[0] == 192 && b[1] == 168);
    }

    private static bool IsBelow(string host, string domain) => host.EndsWith("." + domain, StringComparison.Ordinal);

    private static bool IsOrBelow(string host, string domain) => host == domain || IsBelow(host, domain);
}
