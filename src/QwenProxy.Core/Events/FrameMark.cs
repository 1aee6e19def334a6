using QwenProxy.Wire;

namespace QwenProxy.Core.Events;

/// <summary>What a frame does in a dialect whose answers are built of blocks. Chat's frames have no step.</summary>
public enum FrameStep : byte
{
    None,

    /// <summary>Begins the answer.</summary>
    Start,

    /// <summary>Announces a block.</summary>
    Open,

    /// <summary>Announces a part inside a block.</summary>
    OpenPart,

    /// <summary>Says more of a block, or something about it.</summary>
    Delta,

    /// <summary>Says a block's text, or a part of it, once more at its end.</summary>
    Recap,

    /// <summary>Ends a block.</summary>
    Close,

    /// <summary>Tells how the answer ended.</summary>
    End,

    /// <summary>A sign of life.</summary>
    Ping,
}

/// <summary>What a block holds.</summary>
public enum FrameBlock : byte
{
    Other,
    Text,
    Thinking,
    Call,
}

/// <summary>
/// The places in a frame that number it among others, so that a frame nobody edited can be passed on behind others that were, with only its
/// numbers changed. All ranges are places in <see cref="ChatEvent.Data"/>.
/// </summary>
public struct FrameMark
{
    public FrameStep Step;

    /// <summary>What is announced; told with <see cref="FrameStep.Open"/> only.</summary>
    public FrameBlock Block;

    /// <summary>Which block, in the upstream's own counting; -1 when the frame belongs to none.</summary>
    public int Index;

    public ByteRange IndexPlace;

    /// <summary>Where the frame's own number stands, in dialects that number their frames.</summary>
    public ByteRange NumberPlace;

    /// <summary>The object that the frame is about: the message, the block, the item, the response.</summary>
    public ByteRange Subject;
}
