namespace QwenProxy.Wire;

/// <summary>
/// One frame of a server-sent event stream: everything up to and including the blank line that ends it.
/// All memory is borrowed from the reader and valid until its next call.
/// </summary>
public readonly struct SseFrame
{
    /// <summary>The frame's bytes as they came, with its own line ends; also leading blank lines and a byte order mark.</summary>
    public ReadOnlyMemory<byte> Raw { get; init; }

    /// <summary>The joined <c>data:</c> lines without the final line end; empty when <see cref="HasData"/> is false.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>Where <see cref="Data"/> starts in <see cref="Raw"/>, or -1 when it was joined from several lines.</summary>
    public int DataOffset { get; init; }

    public bool HasData { get; init; }

    /// <summary>The value of <c>event:</c>, empty when absent.</summary>
    public ReadOnlyMemory<byte> EventName { get; init; }

    /// <summary>The value of <c>id:</c>, empty when absent.</summary>
    public ReadOnlyMemory<byte> Id { get; init; }

    /// <summary>The status in a DashScope comment line <c>:HTTP_STATUS/429</c>; 0 when absent.</summary>
    public int HttpStatus { get; init; }

    /// <summary>A frame that carries only comments, blank lines or <c>retry:</c>: alive, but it says nothing.</summary>
    public bool IsSilent => !HasData && EventName.IsEmpty;

    /// <summary>The terminal marker of OpenAI's streams.</summary>
    public bool IsDone => HasData && Data.Span.Trim(" \t"u8).SequenceEqual("[DONE]"u8);
}
