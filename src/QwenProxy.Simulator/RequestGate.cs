using Microsoft.AspNetCore.Http;
using QwenProxy.Simulator.Replies;
using QwenProxy.Simulator.Requests;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Simulator;

/// <summary>What the service refuses before a model sees it.</summary>
internal sealed class RequestGate(SimulatorOptions options)
{
    private const string Bearer = "Bearer ";

    public ReplyPlan? Refuse(HttpRequest request, string uuid)
    {
        string key = KeyOf(request);
        if (options.ApiKey is { } expected && key != expected) return ErrorReplies.Named("error-401-key", uuid);
        if (options.AcceptsToken is { } accepts && !accepts(key)) return ErrorReplies.Named("error-401-token", uuid);
        return null;
    }

    public ReplyPlan? RefuseChat(ModelCall call, string uuid)
    {
        if (options.Portal && RequestRules.BreaksPortalRule(call)) return ErrorReplies.Named("error-400-portal", uuid);
        return options.Strict && RequestRules.FirstFault(call) is { } fault ? ErrorReplies.Invalid(fault, uuid) : null;
    }

    private static string KeyOf(HttpRequest request)
    {
        string authorization = request.Headers.Authorization.ToString();
        return authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? authorization[Bearer.Length..]
            : request.Headers["x-api-key"].ToString();
    }
}
