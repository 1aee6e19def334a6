using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>What rules ask about a model, from the catalogue where it is listed and from its name where it is not.</summary>
internal sealed class ModelTraits
{
    private readonly string _bare;

    public ModelTraits(string name)
    {
        Name = name;
        _bare = name[(name.LastIndexOf('/') + 1)..].ToLowerInvariant();
        Entry = ModelCatalogue.TryGet(name);
    }

    public string Name { get; }

    public ModelEntry? Entry { get; }

    /// <summary>One of the vendor's own, not one that the vendor's service hosts for another.</summary>
    public bool IsQwen =>
        IsSeries("qwen") || IsSeries("qwq") || IsSeries("qvq") || _bare is "coder-model" or "vision-model";

    public bool IsMiniMax => IsSeries("minimax");

    /// <summary>Reads <c>reasoning_effort</c> (low, medium, xhigh) and refuses a <c>thinking_budget</c> beside it.</summary>
    public bool TakesEffort => IsSeries("qwen3.8-max") || IsSeries("qwen3.8-flash");

    /// <summary>Null where nothing is known.</summary>
    public ThinkingMode? Thinking
    {
        get
        {
            if (Entry is { } entry) return entry.Thinking;
            bool always = IsSeries("qwen3.8-max") || IsSeries("kimi-k3") || IsSeries("qwq") || IsSeries("qvq");
            always |= _bare.Contains("-thinking", StringComparison.Ordinal);
            return always ? ThinkingMode.Always : null;
        }
    }

    /// <summary>Thinking can be switched either way. An unlisted model is taken to be able when it is Qwen's: all but a few of them are.</summary>
    public bool CanSwitchThinking => Thinking is { } mode ? mode is ThinkingMode.OnByDefault or ThinkingMode.OffByDefault : IsQwen;

    private bool IsSeries(string name) => _bare.StartsWith(name, StringComparison.Ordinal);
}
