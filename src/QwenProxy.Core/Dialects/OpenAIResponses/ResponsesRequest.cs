namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// A Responses request in the terms of the proxy's middle: the OpenAI chat request that asks for the same, and what the answer needs to know of
/// the original. It borrows the body it was read from, which must stay unchanged as long as the request lives.
/// </summary>
public sealed class ResponsesRequest
{
    internal ResponsesRequest()
    {
    }

    /// <summary>
    /// The chat request: <c>model</c>, <c>messages</c>, tools and sampling. It says neither <c>stream</c> nor <c>stream_options</c>: those are
    /// between the proxy and its upstream. Role <c>developer</c> and <c>reasoning_effort</c> stand in it as OpenAI's chat API has them.
    /// </summary>
    public required byte[] ChatBody { get; init; }

    /// <summary>The model's name as the client wrote it.</summary>
    public required string Model { get; init; }

    public bool Stream { get; init; }

    /// <summary>The answer is to be remembered; true unless the client says false.</summary>
    public bool Store { get; init; }

    public string? PreviousResponseId { get; init; }

    /// <summary>
    /// What could not be passed on, one entry each: <c>tool:web_search</c>, <c>input:item_reference</c>, <c>tool_choice:file_search</c>. Type names
    /// only, never text.
    /// </summary>
    public required IReadOnlyList<string> Dropped { get; init; }

    /// <summary>
    /// <c>reasoning.effort</c>: <c>none</c>, <c>minimal</c>, <c>low</c>, <c>medium</c>, <c>high</c>, <c>xhigh</c> or another word of the client's;
    /// null when not asked.
    /// </summary>
    public string? Effort { get; init; }

    /// <summary><c>reasoning.summary</c>: <c>auto</c>, <c>concise</c>, <c>detailed</c>; null when not asked. Reasoning is shown either way.</summary>
    public string? Summary { get; init; }

    /// <summary>The client keeps its own history and wants reasoning to send back (<c>include</c> of <c>reasoning.encrypted_content</c>).</summary>
    public bool EncryptedReasoning { get; init; }

    /// <summary>The client asks for its history to be compacted: the answer is one item that stands for it from then on.</summary>
    public bool IsCompaction { get; init; }

    /// <summary>Tools or items that an upstream which speaks this API would not know: declared in the input, run by the client, or sealed here.</summary>
    public bool NeedsTranslation { get; init; }

    /// <summary>The request's own fields by name, each raw, for the answer to repeat.</summary>
    internal IReadOnlyDictionary<string, RawJson> Fields { get; init; } = new Dictionary<string, RawJson>();

    internal ToolNames Tools { get; init; } = new();

    /// <summary>The stored conversation this request continues; the store's own memory.</summary>
    internal IReadOnlyList<ReadOnlyMemory<byte>> Earlier { get; init; } = [];

    /// <summary>This request's own input items, references resolved; partly the body's memory.</summary>
    internal IReadOnlyList<ReadOnlyMemory<byte>> Input { get; init; } = [];
}
