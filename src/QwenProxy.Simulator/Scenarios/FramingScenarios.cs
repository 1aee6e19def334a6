using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Streams that are right in every word and framed in another of the ways that the standard allows, or nearly allows.</summary>
internal static class FramingScenarios
{
    private const string Group = "framing";

    public static IEnumerable<Scenario> All =>
    [
        new("crlf", Group, "lines end in CR LF") { Framing = _ => new Framing { NewLine = "\r\n" } },
        new("cr", Group, "lines end in CR") { Framing = _ => new Framing { NewLine = "\r" } },
        new("no-space", Group, "`data:` without the space") { Framing = _ => new Framing { AfterColon = "" } },
        new("comments", Group, "comment lines before every `every=` (2) events, some alone, some in the event")
        {
            Framing = s => new Framing { CommentEvery = Math.Max(1, s.Number("every", 2)) },
        },
        new("bom", Group, "a byte order mark at the start") { Framing = _ => new Framing { ByteOrderMark = true } },
        new("multi-data-lines", Group, "the data of each event on two `data:` lines") { Framing = _ => new Framing { TwoDataLines = true } },
        new("no-last-newline", Group, "the stream ends right after `[DONE]`") { Framing = _ => new Framing { NoLastNewLine = true } },
        new("native-lines", Group, "`id:`, `event:result` and `:HTTP_STATUS/200` before each event")
        {
            Framing = _ => new Framing { NativeLines = true },
        },
    ];
}
