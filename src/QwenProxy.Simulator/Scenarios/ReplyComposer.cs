using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Messages;
using QwenProxy.Simulator.Replies;
using QwenProxy.Simulator.Responses;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Turns a request and the scenarios chosen for it into a reply.</summary>
internal static class ReplyComposer
{
    public static ReplyPlan Compose(ScenarioContext context)
    {
        List<Scenario> scenarios = ScenarioCatalogue.Resolve(context.Spec);
        ReplyPlan plan = Replacement(context, scenarios) ?? Answer(context, scenarios);
        return Send(plan, context, scenarios);
    }

    /// <summary>For a reply that no model makes, such as the list of models: only what breaks, delays or replaces it applies.</summary>
    public static ReplyPlan Decorate(ReplyPlan plan, ScenarioContext context)
    {
        List<Scenario> scenarios = ScenarioCatalogue.Resolve(context.Spec);
        return Send(Replacement(context, scenarios) ?? plan, context, scenarios);
    }

    private static ReplyPlan? Replacement(ScenarioContext context, List<Scenario> scenarios) =>
        scenarios.Select(s => s.Reply?.Invoke(context)).FirstOrDefault(r => r is not null);

    private static ReplyPlan Send(ReplyPlan plan, ScenarioContext context, List<Scenario> scenarios)
    {
        if (plan.Gap == TimeSpan.Zero) plan.Gap = context.Spec.Milliseconds("gap", (int)context.EventGap.TotalMilliseconds);
        foreach (Scenario scenario in scenarios) scenario.Transport?.Invoke(plan, context);
        return plan;
    }

    /// <summary>What the model means to say, before any defect: what a client should end up with.</summary>
    public static SimulatedAnswer Meant(ScenarioContext context, List<Scenario> scenarios)
    {
        Func<ScenarioContext, SimulatedAnswer>? answer = scenarios.Select(s => s.Answer).FirstOrDefault(a => a is not null);
        return answer?.Invoke(context) ?? AnswerBook.Healthy(context.Call);
    }

    /// <summary>What is said of it in the end, after the defects of the answer.</summary>
    public static SimulatedAnswer Said(SimulatedAnswer answer, ScenarioContext context, List<Scenario> scenarios) =>
        scenarios.Aggregate(answer, (said, scenario) => scenario.SpoilAnswer?.Invoke(said, context) ?? said);

    private static ReplyPlan Answer(ScenarioContext context, List<Scenario> scenarios)
    {
        if (context.Dialect == ApiDialect.Embeddings) return ReplyPlan.Json(200, EmbeddingWriter.Write(context.Call, context.Head.Uuid));
        SimulatedAnswer answer = Meant(context, scenarios);
        answer = Said(answer, context, scenarios);
        if (!context.Call.Stream) return ReplyPlan.Json(200, Whole(context, answer));
        Framing framing = scenarios.Select(s => s.Framing).FirstOrDefault(f => f is not null)?.Invoke(context.Spec) ?? Framing.Default;
        return ReplyPlan.Stream(framing.Frame(Events(context, scenarios, answer)));
    }

    public static byte[] Whole(ScenarioContext context, SimulatedAnswer answer)
    {
        TokenCount tokens = TokenCount.Of(context.Call.PromptTokens, answer);
        return context.Dialect switch
        {
            ApiDialect.Messages => MessageWriter.Whole(answer, context.Head, tokens),
            ApiDialect.Responses => ResponseWriter.Whole(answer, context.Head, tokens),
            ApiDialect.Completions => CompletionWriter.Legacy(answer, context.Head, tokens),
            _ => CompletionWriter.Chat(answer, context.Head, tokens),
        };
    }

    /// <summary>The events of an answer in the request's dialect. What a scenario does to chunks it does to the events that say the same elsewhere.</summary>
    public static List<EventData> Events(ScenarioContext context, IReadOnlyList<Scenario> scenarios, SimulatedAnswer answer)
    {
        TokenCount tokens = TokenCount.Of(context.Call.PromptTokens, answer);
        if (context.Dialect == ApiDialect.Completions) return CompletionWriter.LegacyStream(answer, context.Head, tokens, context.Call.IncludeUsage);
        List<Chunk> chunks = ChunkScript.Of(answer, context.Call.IncludeUsage);
        foreach (Scenario scenario in scenarios) scenario.SpoilChunks?.Invoke(chunks, context);
        return Events(context, chunks, tokens, ends: !scenarios.Any(s => s.WithoutDone));
    }

    public static List<EventData> Events(ScenarioContext context, List<Chunk> chunks, TokenCount tokens, bool ends) => context.Dialect switch
    {
        ApiDialect.Messages => MessageStream.Of(chunks, context.Head, tokens, ends),
        ApiDialect.Responses => ResponseStream.Of(chunks, context.Head, tokens),
        _ => ChunkWriter.Write(chunks, context.Head, tokens, ends),
    };
}
