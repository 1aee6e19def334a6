namespace QwenProxy.Core.Dialects.AnthropicMessages;

internal enum BlockKind : byte
{
    Text,
    Thinking,
    ToolUse,
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

    /// <summary>Takes back the open block; only a whole message can.</summary>
    public virtual void Drop() => throw new InvalidOperationException("What was streamed cannot be taken back.");

    public abstract void End(string stopReason, string? stopSequence, MessagesUsage usage);

    /// <summary>A sign of life while the model says something the client is not shown.</summary>
    public abstract void Ping();

    public abstract void Dispose();
}
