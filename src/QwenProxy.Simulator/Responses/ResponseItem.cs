using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Responses;

/// <summary>One output item: as it is announced and when it is done, and the names of its events.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Head">Its JSON up to what depends on its state.</param>
/// <param name="PartKind">The type of its one part; empty for a call.</param>
/// <param name="PartEvent">What the part's events are called, without their ending.</param>
/// <param name="TextEvent">What the events of its text are called, without their ending.</param>
internal sealed record ResponseItem(string Id, string Head, string PartKind, string PartEvent, string TextEvent)
{
    public static ResponseItem Reasoning(StreamHead head, int number) => new(
        Named("rs_", head, number),
        $$"""{"id":"{{Named("rs_", head, number)}}","type":"reasoning",""",
        "summary_text", "response.reasoning_summary_part", "response.reasoning_summary_text");

    public static ResponseItem Message(StreamHead head, int number) => new(
        Named("msg_", head, number),
        $$"""{"id":"{{Named("msg_", head, number)}}","type":"message","role":"assistant","status":""",
        "output_text", "response.content_part", "response.output_text");

    public static ResponseItem Call(string id, string name) => new(
        "fc_" + id,
        $$"""{"id":"fc_{{id}}","type":"function_call","call_id":"{{id}}","name":{{JsonBuilder.Quote(name)}},"status":""",
        "", "", "response.function_call_arguments");

    /// <summary>The member that tells the whole text once more.</summary>
    public string TextMember => PartKind.Length > 0 ? "text" : "arguments";

    public string Added => PartKind switch
    {
        "summary_text" => Head + "\"summary\":[]}",
        "output_text" => Head + "\"in_progress\",\"content\":[]}",
        _ => Head + "\"in_progress\",\"arguments\":\"\"}",
    };

    /// <summary>Which item, and which part of it, its events are about.</summary>
    public string Place(int index) => $",\"item_id\":{JsonBuilder.Quote(Id)},\"output_index\":{index}"
        + PartKind switch { "summary_text" => ",\"summary_index\":0", "output_text" => ",\"content_index\":0", _ => "" };

    public string Part(string text) => PartKind == "output_text"
        ? $$"""{"type":"output_text","text":{{JsonBuilder.Quote(text)}},"annotations":[]}"""
        : $$"""{"type":"{{PartKind}}","text":{{JsonBuilder.Quote(text)}}}""";

    public string Done(string text) => PartKind switch
    {
        "summary_text" => Head + $"\"summary\":[{Part(text)}]}}",
        "output_text" => Head + $"\"completed\",\"content\":[{Part(text)}]}}",
        _ => Head + $"\"completed\",\"arguments\":{JsonBuilder.Quote(text)}}}",
    };

    private static string Named(string prefix, StreamHead head, int number) => prefix + head.Uuid + (number == 0 ? "" : "-" + number);
}
