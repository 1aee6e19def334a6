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

    /// <summary>Whose fault a failure was: <c>upstream</c>, <c>downstream</c> or <c>internal</c>; null for a complete answer.</summary>
    public string? Source { get; init; }

    /// <summary>The code of the error that the client was told; null for a complete answer and for errors without one.</summary>
    public string? Code { get; init; }

    /// <summary>Which accounts failed this request, each with status and kind, such as <c>plan 401 invalid_key, paygo 429 rate_limited</c>; null when none did.</summary>
    public string? Tried { get; init; }

    /// <summary>What a person can do about a failure; null where nothing is known.</summary>
    public string? Fix { get; init; }

    /// <summary>What happened on the way, as a JSON array of <see cref="RequestStep"/>; null when the first attempt was made at once and answered.</summary>
    public string? Steps { get; init; }

    /// <summary>What repair did, as a JSON array of objects with <c>stage</c>, <c>rule</c>, <c>action</c> and <c>count</c>; null when it did nothing that matters.</summary>
    public string? Repairs { get; init; }

    /// <summary>How many changes repair made; what it only passed on as it came is not among them.</summary>
    public int Repaired { get; init; }

    /// <summary>US dollars at the list prices of that day; null when upstream counted nothing or the model has no price.</summary>
    public decimal? Cost { get; init; }

    public TimeSpan Duration { get; init; }

    /// <summary>From the request to the first byte of its answer; null when there was none.</summary>
    public TimeSpan? FirstByte { get; init; }
}
