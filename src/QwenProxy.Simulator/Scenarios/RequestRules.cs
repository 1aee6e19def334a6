using System.Text.Json;
using QwenProxy.Simulator.Requests;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>The rules for a chat history that the service enforces, each with the message it answers.</summary>
internal static class RequestRules
{
    private static readonly string[] Roles = ["system", "assistant", "user", "tool", "function"];

    /// <summary>The portal wants a system message first and plain text from the user.</summary>
    public static bool BreaksPortalRule(ModelCall call) =>
        call.Messages.Count == 0 || call.Messages[0].Role != "system" || call.Messages.Any(m => m is { Role: "user", ContentIsArray: true });

    public static string? FirstFault(ModelCall call)
    {
        IReadOnlyList<CallMessage> messages = call.Messages;
        if (messages.Count == 0) return "[] is too short - 'messages'";
        for (int i = 0; i < messages.Count; i++)
        {
            CallMessage message = messages[i];
            if (!Roles.Contains(message.Role))
                return $"{message.Role} is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.[{i}].role'";
            if (message.Arguments.Any(a => !IsJsonObject(a)))
                return "<400> InternalError.Algo.InvalidParameter: The \"function.arguments\" parameter of the code model must be in JSON format.";
            if (message.Role == "tool" && (i == 0 || messages[i - 1] is not ({ Role: "tool" } or { Role: "assistant", ToolCalls: > 0 })))
                return "<400> InternalError.Algo.InvalidParameter: "
                    + "messages with role \"tool\" must be a response to a preceeding message with \"tool_calls\".";
        }

        if (call.ToolChoice == "\"required\"")
            return "<400> InternalError.Algo.InvalidParameter: tool_choice is one of the strings that should be [\"none\", \"auto\"]";
        return messages[^1].Role is "user" or "tool" ? null : "The last message must be of role user or tool.";
    }

    private static bool IsJsonObject(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
