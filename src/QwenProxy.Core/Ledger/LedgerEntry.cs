namespace QwenProxy.Core.Ledger;

/// <summary>One settled request as it is written down: who asked whom for what, how it ended and what it took. No text of a conversation.</summary>
public sealed record LedgerEntry
{
    /// <summary>When the request ended.</summary>
    public required DateTimeOffset Time { get; init; }

    public required string RequestId { get; init; }

    /// <summary>The client's wire API, e.g. <c>openai.chat</c>.</summary>
    public required string Dialect { get; init; }

    /// <summary>The client's key by its name; null without keys.</summary>
    public string? Client { get; init; }

    /// <summary>The model as the client wrote it; empty when the body was not read.</summary>
    public string AskedModel { get; init; } = "";

    /// <summary>The model that answered last; null when nobody was asked.</summary>
    public string? ServedModel { get; init; }

    public string? Account { get; init; }

    /// <summary>What upstream counted; null when it did not tell.</summary>
    public TokenCounts? Tokens { get; init; }

    public int Attempts { get; init; }

    public int Resumes { get; init; }

    /// <summary>The HTTP status the client got; 499 when it left.</summary>
    public int Status { get; init; }

    /// <summary><c>complete</c>, or the kind of failure in snake case.</summary>
    public required string End { get; init; }

    public TimeSpan Duration { get; init; }

    /// <summary>From the request to the first byte of its answer; null when there was none.</summary>
    public TimeSpan? FirstByte { get; init; }
}
