using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>
/// Every kind of upstream the proxy knows, by name. What is stated here was documented or observed in 2026; what nobody established
/// keeps the cautious default of <see cref="UpstreamProfile"/>. See docs/configuration.md for how one is chosen.
/// </summary>
public static class Profiles
{
    /// <summary>Model Studio's documented list for partial mode (pages of March to October 2026): these series, thinking off.</summary>
    private static readonly ImmutableArray<string> s_partialModels =
    [
        "qwen3.7-max*", "qwen3.6-max*", "qwen3-max*", "qwen-max*",
        "qwen3.7-plus*", "qwen3.6-plus*", "qwen3.5-plus*", "qwen-plus*",
        "qwen3.7-flash*", "qwen3.6-flash*", "qwen3.5-flash*", "qwen-flash*",
        "qwen3-coder*", "qwen2.5-coder*", "qwen-coder*", "qwen-turbo*",
        "qwen3-vl-*", "qwen-vl-max*", "qwen-vl-plus*",
        "qwen3.6-*b*", "qwen3.5-*b*", "qwen3-*b*", "qwen2.5-*",
    ];

    /// <summary>Models that always think cannot be continued with thinking off.</summary>
    private static readonly ImmutableArray<string> s_thinkingOnly = ["*-thinking*"];

    /// <summary>The models for which a client of the vendor's own lists <c>preserve_thinking</c>; elsewhere the field is ignored.</summary>
    private static readonly ImmutableArray<string> s_preserveModels =
    [
        "qwen3.6-plus*", "qwen3.6-max*", "qwen3.7-flash*", "qwen3.7-plus*", "qwen3.7-max*", "qwen3.8-flash*", "qwen3.8-max*", "kimi-k2.7-code*",
    ];

    private static readonly ImmutableArray<string> s_qwen = ["*qwen*", "*Qwen*"];

    /// <summary>Pay-as-you-go Model Studio, all regions and workspace domains, compatible mode.</summary>
    public static UpstreamProfile DashScope { get; } = new("dashscope")
    {
        Auth = AuthHeaderStyle.BearerAndApiKey,
        Thinking = ThinkingDialect.TopLevel,
        SupportsCacheControl = true,
        Prefill = PrefillStyle.Partial,
        PrefillModels = s_partialModels,
        PrefillExceptModels = s_thinkingOnly,
        MessagesPath = "/apps/anthropic/v1/messages",
        ResponsesPath = "/api/v2/apps/protocols/compatible-mode/v1/responses",
        // Its reference says that instructions are not supported and that members it does not name are ignored; it does not name a format of the text.
        ResponsesIgnores = ["instructions", "text.format"],
        RenamedFields = [new("max_completion_tokens", "max_tokens")],
        DroppedForOtherModels = ["metadata"],
        ModelStudioRules = true,
        SystemOnlyFirstModels = ["*"],
        PlainTextModels = ["glm-*"],
        PreserveThinkingModels = s_preserveModels,
    };

    /// <summary>The Coding Plan: agents only, no native API, the fully cumulative streams of some paths (so nothing is declared).</summary>
    public static UpstreamProfile CodingPlan { get; } = DashScope with
    {
        Name = "coding-plan",
        UserAgent = UserAgentPolicy.ForwardOnly,
        ResponsesPath = null,
    };

    /// <summary>The Token Plan. Its Responses API is cited below the compatible-mode base.</summary>
    public static UpstreamProfile TokenPlan { get; } = DashScope with { Name = "token-plan", ResponsesPath = "responses" };

    /// <summary>
    /// portal.qwen.ai, where the OAuth sign-in leads: strict about message shapes, and the one upstream seen to restate its first event.
    /// </summary>
    public static UpstreamProfile QwenPortal { get; } = new("qwen-portal")
    {
        Thinking = ThinkingDialect.TopLevel,
        SupportsCacheControl = true,
        KeyOrderMark = true,
        WantsSystemFirstAndPlainText = true,
        RenamedFields = [new("max_completion_tokens", "max_tokens")],
        ModelStudioRules = true,
        SystemOnlyFirstModels = ["*"],
    };

    /// <summary>
    /// vLLM renamed <c>reasoning_content</c> to <c>reasoning</c>; a top-level thinking switch is ignored. As on every server that renders the
    /// models' own chat templates, those of Qwen 3.5 and later refuse a system message that is not the first.
    /// </summary>
    public static UpstreamProfile Vllm { get; } = new("vllm")
    {
        Thinking = ThinkingDialect.ChatTemplateKwargs,
        ReasoningFieldIn = "reasoning",
        ReasoningFieldOut = "reasoning",
        Prefill = PrefillStyle.ContinueFinalMessage,
        PrefillModels = ["*"],
        Stutter = StutterDeclaration.Incremental,
        SystemOnlyFirstModels = ["*"],
    };

    public static UpstreamProfile SgLang { get; } = new("sglang")
    {
        Thinking = ThinkingDialect.ChatTemplateKwargs,
        SystemOnlyFirstModels = ["*"],
        Prefill = PrefillStyle.ContinueFinalMessage,
        PrefillModels = ["*"],
    };

    public static UpstreamProfile LlamaCpp { get; } = new("llama-cpp")
    {
        Thinking = ThinkingDialect.ChatTemplateKwargs,
        SystemOnlyFirstModels = ["*"],
        OmitsEmptySchemas = true,
        MessagesPath = "messages",
        ResponsesPath = "responses",
    };

    /// <summary>Ollama reads and writes <c>reasoning</c>; <c>reasoning_content</c> in the history can hang its turn.</summary>
    public static UpstreamProfile Ollama { get; } = new("ollama")
    {
        Thinking = ThinkingDialect.ReasoningEffort,
        SystemOnlyFirstModels = ["*"],
        ReasoningFieldIn = "reasoning",
        ReasoningFieldOut = "reasoning",
        Stutter = StutterDeclaration.Incremental,
        MessagesPath = "messages",
        ResponsesPath = "responses",
    };

    public static UpstreamProfile LmStudio { get; } = new("lm-studio")
    {
        SystemOnlyFirstModels = ["*"],
        WantsWholeSchemas = true,
        MessagesPath = "messages",
        ResponsesPath = "responses",
    };

    public static UpstreamProfile OpenRouter { get; } = new("openrouter")
    {
        Thinking = ThinkingDialect.OpenRouterReasoning,
        ReasoningFieldIn = "reasoning",
        ReasoningFieldOut = "reasoning",
        SupportsCacheControl = true,
        MessagesPath = "messages",
        ResponsesPath = "responses",
        RefusesDeveloperRole = false,
    };

    /// <summary>ModelScope answers with DashScope's errors and wants the same request.</summary>
    public static UpstreamProfile ModelScope { get; } = new("modelscope") { Thinking = ThinkingDialect.TopLevel, SystemOnlyFirstModels = s_qwen };

    /// <summary>Any other OpenAI-compatible server: nothing is assumed of it, and of the model only what its chat template does anywhere.</summary>
    public static UpstreamProfile Generic { get; } = new("generic") { SystemOnlyFirstModels = s_qwen };

    public static ImmutableArray<UpstreamProfile> All { get; } =
        [DashScope, CodingPlan, TokenPlan, QwenPortal, Vllm, SgLang, LlamaCpp, Ollama, LmStudio, OpenRouter, ModelScope, Generic];

    public static UpstreamProfile? ByName(string name) => All.FirstOrDefault(p => p.Name == name);

    /// <summary>The profile that a base URL speaks of, by its host, or on a local network by the port that a server is known for.</summary>
    public static UpstreamProfile FromBaseUrl(Uri baseUrl)
    {
        ArgumentNullException.ThrowIfNull(baseUrl);
        return ProfileHosts.Find(baseUrl) ?? Generic;
    }
}
