using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

internal enum BlockKind : byte
{
    Text,
    Thinking,
    ToolUse,

    /// <summary>One that only its upstream knows.</summary>
    Other,
}

/// <summary>Writes one message block by block; the order of calls is the order of Anthropic's stream events.</summary>
internal abstract class BlockWriter : IDisposable
{
    /// <param name="modelToken">A JSON string with quotes.</param>
    public abstract void Start(string id, ReadOnlySpan<byte> modelToken, MessagesUsage usage);

    /// <summary>Opens the next block; id and name are a tool call's.</summary>
    public abstract void Open(int index, BlockKind kind, string id, string name);

    /// <summary>Appends to the open block a text in JSON spelling, without quotes.</summary>
    public abstract void Append(ReadOnlySpan<byte> inside);

    /// <summary>Appends to the open block a text in plain UTF-8.</summary>
    public abstract void AppendPlain(ReadOnlySpan<byte> utf8);

    /// <param name="signature">A thinking block's; null for others.</param>
    public abstract void Close(string? signature);

    public abstract void End(string stopReason, string? stopSequence, MessagesUsage usage);

    /// <summary>A sign of life while the model says something the client is not shown.</summary>
    public abstract void Ping();

    /// <summary>The message begins as upstream began it.</summary>
    public abstract void PassStart(ChatEvent e);

    /// <summary>
    /// Opens the next block with upstream's own frame. It waits for the block's first words or its end, and the frames that come meanwhile wait behind
    /// it, so that a block in which nothing is left to say need not be shown.
    /// </summary>
    public abstract void PassOpen(ChatEvent e, int index, BlockKind kind);

    /// <summary>A frame about the open block, with the part's new words where it has any; a frame that belongs to no block has no part.</summary>
    public abstract void PassDelta(ChatEvent e);

    /// <summary>Upstream's frame that ends the open block. It waits for <see cref="Close"/>, since a stage may still have something to say in the block.</summary>
    public abstract void PassClose(ChatEvent e);

    /// <summary>Takes the open block back: it was announced and nothing was left to say in it. What was streamed already cannot be.</summary>
    public abstract void Forget();

    /// <summary>Upstream's frame that tells how the message ended.</summary>
    /// <param name="e">The event.</param>
    /// <param name="stopReason">What stands in the place of upstream's reason; null leaves it.</param>
    /// <param name="usage">The counts of the whole message; in a stream they take the place of upstream's only where the event has new ones.</param>
    public abstract void PassEnd(ChatEvent e, string? stopReason, MessagesUsage usage);

    /// <summary>The message is over, with upstream's last frame or, where it sent none, with null.</summary>
    public abstract void EndPassed(ChatEvent? last);

    /// <summary>A frame that is no part of the answer: a sign of life, a comment.</summary>
    public abstract void PassIdle(ChatEvent e);

    public abstract void Dispose();
}
