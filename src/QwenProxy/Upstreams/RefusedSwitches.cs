using System.Collections.Concurrent;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;

namespace QwenProxy.Upstreams;

/// <summary>
/// Models that turned out to refuse being told not to think, by account and wire API, which have switches of their own. They are not told so again until the configuration changes or the program
/// starts again: a client that asked for no thinking is answered all the same, and is shown none.
/// </summary>
internal sealed class RefusedSwitches
{
    private readonly ConcurrentDictionary<(string Account, string Model, WireDialect Dialect), bool> _refused = new();

    public bool Contains(AttemptTarget target, WireDialect dialect) => _refused.ContainsKey((target.Account.Name, target.Ask.Model, dialect));

    public void Note(AttemptTarget target, WireDialect dialect) => _refused[(target.Account.Name, target.Ask.Model, dialect)] = true;

    public void Forget() => _refused.Clear();

    /// <summary>
    /// A refused request whose error is about thinking. Services word it in many ways ("enable_thinking is restricted to True", "Reasoning is mandatory"),
    /// and one more try is all that a wrong guess costs.
    /// </summary>
    public static bool IsRefusal(ProxyError error)
    {
        if (error.Kind != FaultKind.InvalidRequest) return false;
        string said = $"{error.Code} {error.Param} {error.Message}";
        return ((string[])["thinking", "reasoning", "chat_template_kwargs"]).Any(w => said.Contains(w, StringComparison.OrdinalIgnoreCase));
    }
}
