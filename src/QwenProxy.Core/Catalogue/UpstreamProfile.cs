using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>How a request switches thinking on and off at an upstream.</summary>
public enum ThinkingDialect
{
    /// <summary>Not known: what the client wrote passes, nothing is added.</summary>
    None,

    /// <summary>Top-level fields, Model Studio's way: <c>enable_thinking</c>, <c>thinking_budget</c>.</summary>
    TopLevel,

    /// <summary>Inside <c>chat_template_kwargs</c>; a top-level switch is ignored (vLLM, SGLang, llama.cpp).</summary>
    ChatTemplateKwargs,

    /// <summary>Only <c>reasoning_effort</c>, where <c>none</c> switches thinking off (Ollama).</summary>
    ReasoningEffort,

    /// <summary>The object <c>reasoning</c> with enabled, effort and max_tokens (OpenRouter).</summary>
    OpenRouterReasoning,
}

/// <summary>How an upstream is asked to continue a text that was begun.</summary>
public enum PrefillStyle
{
    None,

    /// <summary>The last message is the assistant's and carries <c>"partial": true</c>.</summary>
    Partial,

    /// <summary>The request carries <c>continue_final_message: true</c> and <c>add_generation_prompt: false</c>.</summary>
    ContinueFinalMessage,
}

/// <summary>What is known about the deltas of an upstream: whether each event restates the text so far.</summary>
public enum StutterDeclaration
{
    Unknown,
    Incremental,
    Cumulative,
}

public enum AuthHeaderStyle
{
    /// <summary><c>Authorization: Bearer</c>.</summary>
    Bearer,

    /// <summary>Bearer, and <c>x-api-key</c> too on the Anthropic path, where the documents of the upstream disagree.</summary>
    BearerAndApiKey,
}

public enum UserAgentPolicy
{
    /// <summary>The client's own goes upstream; a client that sent none is named by the proxy's.</summary>
    Forward,

    /// <summary>As Forward, and the upstream answers 405 to callers that are not coding agents: nothing is ever put in the client's place.</summary>
    ForwardOnly,
}

/// <summary>
/// The quirks of one kind of upstream: what it accepts, what it lacks, how it thinks. Data only; the dialects act on it.
/// A null path means that the upstream does not offer that API.
/// </summary>
public sealed record UpstreamProfile(string Name)
{
    public AuthHeaderStyle Auth { get; init; } = AuthHeaderStyle.Bearer;

    public UserAgentPolicy UserAgent { get; init; } = UserAgentPolicy.Forward;

    public ThinkingDialect Thinking { get; init; } = ThinkingDialect.None;

    /// <summary>The field of an assistant message in which the upstream reads the thinking of earlier turns.</summary>
    public string ReasoningFieldIn { get; init; } = "reasoning_content";

    /// <summary>The field in which it sends thinking. Both spellings are always read; this one tells which to expect.</summary>
    public string ReasoningFieldOut { get; init; } = "reasoning_content";

    /// <summary>Accepts <c>stream_options.include_usage</c>.</summary>
    public bool SupportsStreamOptions { get; init; } = true;

    /// <summary>Understands <c>cache_control</c> marks on content parts and tools.</summary>
    public bool SupportsCacheControl { get; init; }

    public PrefillStyle Prefill { get; init; } = PrefillStyle.None;

    /// <summary>Model names (<c>*</c> matches any run of characters) for which <see cref="Prefill"/> is documented.</summary>
    public ImmutableArray<string> PrefillModels { get; init; } = [];

    /// <summary>Exceptions from <see cref="PrefillModels"/>.</summary>
    public ImmutableArray<string> PrefillExceptModels { get; init; } = [];

    public StutterDeclaration Stutter { get; init; } = StutterDeclaration.Unknown;

    /// <summary>A restated first event was seen to carry the key order of the first event, so that order may count as evidence.</summary>
    public bool KeyOrderMark { get; init; }

    /// <summary>Anthropic Messages: from the root of the host when it starts with a slash, else below the base URL.</summary>
    public string? MessagesPath { get; init; }

    /// <summary>OpenAI Responses, written as <see cref="MessagesPath"/>.</summary>
    public string? ResponsesPath { get; init; }

    /// <summary>What its Responses API leaves unheard, of <c>instructions</c> and <c>text.format</c>: requests with such a member are translated to chat, which has both.</summary>
    public ImmutableArray<string> ResponsesIgnores { get; init; } = [];

    /// <summary>The upstream refuses the role <c>developer</c>; it must be sent as <c>system</c>.</summary>
    public bool RefusesDeveloperRole { get; init; } = true;

    /// <summary>Top-level request fields that are ignored under one name and honoured under another.</summary>
    public ImmutableArray<KeyValuePair<string, string>> RenamedFields { get; init; } = [];

    /// <summary>Top-level request fields that make the upstream refuse a request; they are dropped.</summary>
    public ImmutableArray<string> DroppedFields { get; init; } = [];

    /// <summary>As <see cref="DroppedFields"/>, but only for models that are not Qwen's own.</summary>
    public ImmutableArray<string> DroppedForOtherModels { get; init; } = [];

    /// <summary>
    /// Model Studio's documented refusals hold: tool results next to their calls, no <c>tool_choice: required</c>, no empty <c>tools</c>, limits on
    /// <c>max_tokens</c>, no JSON mode while thinking; and its defaults, where they differ from OpenAI's.
    /// </summary>
    public bool ModelStudioRules { get; init; }

    /// <summary>Models (<c>*</c> matches any run of characters) for which a system message is accepted only as the first message.</summary>
    public ImmutableArray<string> SystemOnlyFirstModels { get; init; } = [];

    /// <summary>A tool schema without properties cannot be made a grammar; a tool without arguments is declared without <c>parameters</c>.</summary>
    public bool OmitsEmptySchemas { get; init; }

    /// <summary>Tool parameters <c>{}</c> are refused; the schema must name its type and properties.</summary>
    public bool WantsWholeSchemas { get; init; }

    /// <summary>Models (<c>*</c> matches any run of characters) that want the content of a message as one string.</summary>
    public ImmutableArray<string> PlainTextModels { get; init; } = [];

    /// <summary>Models that read the thinking of earlier turns when <c>preserve_thinking</c> asks them to.</summary>
    public ImmutableArray<string> PreserveThinkingModels { get; init; } = [];

    /// <summary>The first message must be the system's, and user content must be one string (portal.qwen.ai).</summary>
    public bool WantsSystemFirstAndPlainText { get; init; }

    public bool CanPrefill(string model) =>
        Prefill != PrefillStyle.None && ModelPattern.MatchesAny(PrefillModels, model) && !ModelPattern.MatchesAny(PrefillExceptModels, model);

    public override string ToString() => Name;

    /// <summary>The URL of a path that is written as <see cref="MessagesPath"/> is; null for none.</summary>
    public static Uri? Below(Uri baseUrl, string? path)
    {
        ArgumentNullException.ThrowIfNull(baseUrl);
        if (path is null) return null;
        string root = path.StartsWith('/') ? baseUrl.GetLeftPart(UriPartial.Authority) : baseUrl.AbsoluteUri.TrimEnd('/') + "/";
        return new Uri(root + path);
    }
}
