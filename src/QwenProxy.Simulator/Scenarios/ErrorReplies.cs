using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Errors that the server itself has reason to give.</summary>
internal static class ErrorReplies
{
    public static ReplyPlan Named(string name, string uuid) => ErrorCatalogue.Rows.First(r => r.Name == name).Plan(uuid);

    public static ReplyPlan BadBody(string uuid) => Invalid("Required body invalid, please check the request body format.", uuid);

    public static ReplyPlan Invalid(string message, string uuid) => new ErrorRow("", 400, "invalid_parameter_error", message).Plan(uuid);

    public static ReplyPlan UnknownModel(string model, string uuid) =>
        new ErrorRow("", 404, "model_not_found", $"The model `{model}` does not exist or you do not have access to it.").Plan(uuid);

    public static ReplyPlan EmptyNotFound() => new ErrorRow("", 404, "", "", Shape: ErrorShape.Empty).Plan("");

    /// <summary>A scenario that was asked for wrongly: the code tells it from the errors that are simulated.</summary>
    public static ReplyPlan Fault(string message, string uuid) => new ErrorRow("", 400, "simulator_fault", message).Plan(uuid);
}
