namespace QwenProxy.Core.Errors;

/// <summary>One line per kind of upstream failure that tells a person what to do, beside the upstream's message and never in its place.</summary>
internal static class ErrorFixes
{
    public static string? For(ProxyError error, BodyShape shape, string? model) => error.Kind switch
    {
        FaultKind.InvalidKey => "A key works only on the host of its own region and plan (sk-sp- keys: Coding Plan or Token Plan hosts): "
            + "check apiKey and baseUrl with `qwen-proxy doctor`.",
        FaultKind.PermissionDenied => "This key may not use the model or the workspace: check its plan and permissions in the provider's console.",
        FaultKind.ClientGate => shape == BodyShape.Json
            ? "This plan serves coding agents only: use one, or an account without that limit."
            : "The path is refused: check the account's baseUrl.",
        FaultKind.Billing => "Renew the plan or settle the bill in the provider's console, or add another account.",
        FaultKind.QuotaExhausted => error.Code?.Contains("FreeTierOnly", StringComparison.OrdinalIgnoreCase) == true
            ? "The free quota is used up: switch off \"free tier only\" in the provider's console, or add another account."
            : "The quota is used up: wait for its reset, or add another account.",
        FaultKind.ConcurrencyLimited => "Run fewer requests at once on this plan, or add another account.",
        FaultKind.ContextTooLong => "Shorten the conversation, or configure a fallback model with a larger context.",
        FaultKind.ModelNotFound => NotFound(shape, model),
        FaultKind.ServerError or FaultKind.Overloaded when shape == BodyShape.WebPage =>
            "A gateway before the upstream answered: try again, or check baseUrl.",
        _ => null,
    };

    private static string NotFound(BodyShape shape, string? model)
    {
        if (shape != BodyShape.Json) return "The path does not exist: check the account's baseUrl.";
        const string look = "`qwen-proxy models` lists what is on offer.";
        return model is null ? look : $"The account does not serve '{model}': {look}";
    }
}
