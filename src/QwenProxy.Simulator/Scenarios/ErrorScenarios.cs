using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>The error table as scenarios, and a free form for the rest.</summary>
internal static class ErrorScenarios
{
    private const string Group = "errors";

    public static IEnumerable<Scenario> All =>
    [
        .. ErrorCatalogue.Rows.Select(row => new Scenario(row.Name, Group, Describe(row))
        {
            Reply = c => WithRetryAfter(row.Plan(c.Head.Uuid), c.Spec),
        }),
        new("status", Group, "`code=` (500) with `message=`, `error=` (its code), `shape=nested|flat|text|number|html|empty`") { Reply = Free },
    ];

    private static string Describe(ErrorRow row) => row.Shape switch
    {
        ErrorShape.Html => $"{row.Status}, a web page",
        ErrorShape.Empty => $"{row.Status}, no body",
        ErrorShape.Text => $"{row.Status}, `error` is a string",
        _ => $"{row.Status} `{row.Code}`, {row.Shape.ToString().ToLowerInvariant()}: {Shorten(row.Message)}",
    };

    private static string Shorten(string message) => message.Length > 60 ? message[..60] + "…" : message;

    private static ReplyPlan Free(ScenarioContext context)
    {
        ScenarioSpec spec = context.Spec;
        if (!Enum.TryParse(spec.Get("shape") ?? "nested", ignoreCase: true, out ErrorShape shape))
            throw new ScenarioException($"scenario '{spec.Text}': there is no shape '{spec.Get("shape")}'");
        int status = spec.Number("code", 500);
        string code = spec.Get("error") ?? status switch
        {
            401 => "invalid_api_key",
            404 => "model_not_found",
            429 => "limit_requests",
            _ => "internal_error",
        };
        ErrorRow row = new("status", status, code, spec.Get("message") ?? $"simulated failure {status}", Shape: shape);
        return WithRetryAfter(row.Plan(context.Head.Uuid), spec);
    }

    private static ReplyPlan WithRetryAfter(ReplyPlan plan, ScenarioSpec spec)
    {
        if (spec.Get("retryAfter") is { } seconds) plan.Headers.Add(new KeyValuePair<string, string>("Retry-After", seconds));
        if (spec.Get("retryAfterMs") is { } milliseconds) plan.Headers.Add(new KeyValuePair<string, string>("retry-after-ms", milliseconds));
        return plan;
    }
}
