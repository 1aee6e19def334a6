using QwenProxy.Core.Repair.ToolCalls;

namespace QwenProxy.Core.Repair;

/// <summary>What an upstream's text deltas are known to be (stutter evidence E1).</summary>
public enum DeltaHabit : byte
{
    /// <summary>Nobody has said: the stutter stage finds out per channel.</summary>
    Unknown,

    /// <summary>Each delta is new text: vLLM, OpenAI, Ollama. The stutter stage stays out of the way.</summary>
    Incremental,

    /// <summary>Each delta is the whole text so far: DashScope's native API without <c>incremental_output</c>.</summary>
    Cumulative,
}

/// <summary>What earlier streams of the same upstream and model have taught (stutter evidence E6).</summary>
public enum StutterStanding : byte
{
    /// <summary>Nothing known, or clean.</summary>
    None,

    /// <summary>Some streams were proven to restate their text.</summary>
    Seen,
}

/// <summary>What the stages of one stream may know: the request, the upstream's habits, the limits, and where to report.</summary>
public sealed class RepairContext
{
    public required RepairReport Report { get; init; }

    /// <summary>Bytes of undecided text that all stages of this stream may hold back together (STREAMING_BUFFER_SIZE).</summary>
    public int HoldLimitBytes { get; init; } = 4096;

    /// <summary>The request's <c>tools</c> in the OpenAI chat shape, a JSON array; empty when the request declares none.</summary>
    public ReadOnlyMemory<byte> Tools { get; init; }

    /// <summary>The request's <c>messages</c> in the OpenAI chat shape: ids of calls in it are taken. Looked at only when a call comes.</summary>
    public ReadOnlyMemory<byte> Messages { get; init; }

    /// <summary>The request demands JSON text (<c>response_format</c> of json_object or json_schema).</summary>
    public bool ExpectsJson { get; init; }

    /// <summary>The profile's declaration about text deltas.</summary>
    public DeltaHabit Deltas { get; init; }

    /// <summary>What was learned about this upstream and model.</summary>
    public StutterStanding StutterStanding { get; init; }

    /// <summary>
    /// This profile has shown that its serialiser writes the first event, and a restated one, with other key order than the rest, so that the order
    /// says something by itself. Elsewhere it says something only beside a body event with another order: llama.cpp, for one, writes the first
    /// event's order on every event.
    /// </summary>
    public bool KeyOrderMark { get; init; }

    /// <summary>When the event now in the chain arrived, in milliseconds of any steady clock of the driver; 0 when nobody sets it.</summary>
    public long ArrivalMilliseconds { get; set; }

    /// <summary>The client gets one whole answer: nothing is shown before it is complete, so that what came may still turn out to be something else.</summary>
    public bool IsWhole { get; init; }

    /// <summary>
    /// This upstream and model were seen to think in the content with a closing tag only, and the request leaves thinking on: content is thinking until
    /// that tag.
    /// </summary>
    public bool BeginsThinking { get; init; }

    /// <summary>The client reads only <c>reasoning_content</c>: a lone <c>reasoning</c> field is given that name.</summary>
    public bool UnifyReasoning { get; init; }

    /// <summary><see cref="Tools"/>, read when somebody first asks.</summary>
    internal DeclaredTools DeclaredTools => field ??= new DeclaredTools(Tools);

    /// <summary>Bytes that stages hold back now; each stage adds what it takes and subtracts what it passes on.</summary>
    public int HeldBytes { get; set; }
}
