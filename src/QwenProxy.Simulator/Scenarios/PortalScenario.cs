using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>The portal of the free plan: its rule for the history, and its streams that begin without a role.</summary>
internal static class PortalScenario
{
    public static IEnumerable<Scenario> All =>
    [
        new("portal", "answers",
            "400 unless the first message is the system's and user content is plain text; else the portal's stream (no role chunk)")
        {
            Reply = Refuse,
            SpoilChunks = (chunks, _) => chunks.RemoveAll(c => c.Role is not null),
        },
        new("strict", "answers", "healthy, but the history is checked as the service does: roles, arguments, orphan tool results, tool_choice")
        {
            Reply = c => RequestRules.FirstFault(c.Call) is { } fault ? ErrorReplies.Invalid(fault, c.Head.Uuid) : null,
        },
    ];

    private static ReplyPlan? Refuse(ScenarioContext context) =>
        RequestRules.BreaksPortalRule(context.Call) ? ErrorReplies.Named("error-400-portal", context.Head.Uuid) : null;
}
