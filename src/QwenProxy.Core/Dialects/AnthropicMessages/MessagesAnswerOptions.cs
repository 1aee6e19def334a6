namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>What an answer needs to know beside the upstream's events.</summary>
public sealed record MessagesAnswerOptions
{
    /// <summary>The model's name for the client; null shows the upstream's.</summary>
    public string? Model { get; init; }

    /// <summary>Another model answers in the place of <see cref="Model"/>; then the upstream's name is shown, so that nobody is misled.</summary>
    public Func<bool> IsOnFallback { get; init; } = static () => false;

    /// <summary>Tokens of the prompt as far as they can be told before the upstream has counted; stands in <c>message_start</c>.</summary>
    public int InputTokensEstimate { get; init; }

    /// <summary>Gives an id without prefix, for messages and calls that upstream left without one.</summary>
    public required Func<string> NewId { get; init; }

    public ThinkingDisplay Display { get; init; }

    /// <summary>The request's own; an upstream that tells which one matched (vLLM, SGLang) makes the stop reason <c>stop_sequence</c>.</summary>
    public IReadOnlyList<string> StopSequences { get; init; } = [];

    /// <summary>Words of omitted thinking travel in the signature and come back on the next turn. False: the signature is a digest.</summary>
    public bool CarryThinking { get; init; } = true;
}
