using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>What the steps of one request's translation share: the first fault found, and what was left out.</summary>
internal sealed class Translation(ResponsesStoredItems? stored)
{
    private readonly List<string> _dropped = [];

    public ResponsesStoredItems? Stored => stored;

    public ToolNames Tools { get; } = new();

    /// <summary>The client asks for its history to be compacted, not for an answer.</summary>
    public bool IsCompaction { get; set; }

    /// <summary>Something in the request is known to OpenAI's servers and to this proxy, but not to others that speak this API.</summary>
    public bool NeedsTranslation { get; set; }

    public ProxyError? Fault { get; private set; }

    public IReadOnlyList<string> Dropped => _dropped;

    public void Drop(string place, string what) => _dropped.Add($"{place}:{what}");

    public void Fail(string message, string? param, string code = "invalid_request") => Fault ??= ResponsesErrors.Invalid(message, param, code);
}
