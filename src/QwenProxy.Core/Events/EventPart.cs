using QwenProxy.Wire;

namespace QwenProxy.Core.Events;

public enum PartKind : byte
{
    Role,
    Content,
    Reasoning,
    ToolCall,
    Finish,

    /// <summary>Made by a stage, in whole answers only, where nothing was shown yet: what the choice has said as content is no part of it.</summary>
    Withdrawal,
}

/// <summary>Where a part stands in relation to the upstream event it travels with.</summary>
public enum PartPlace : byte
{
    /// <summary>Made by a stage, said before the event.</summary>
    Before,

    /// <summary>Came in the event itself.</summary>
    Original,

    /// <summary>Made by a stage, said after the event.</summary>
    After,
}

/// <summary>
/// One thing that an event says: a role, a piece of text or thinking, a piece of a tool call, a finish reason. Ranges of original parts are
/// places in <see cref="ChatEvent.Data"/>; JSON string ranges include their quotes. An absent or null field has an empty range.
/// </summary>
public struct EventPart
{
    public PartKind Kind;
    public PartPlace Place;

    /// <summary>The choice's <c>index</c>; 0 when the upstream left it out.</summary>
    public int Choice;

    /// <summary>The value's JSON token for every kind but <see cref="PartKind.ToolCall"/>.</summary>
    public ByteRange Value;

    /// <summary>What the value means in chat's words where the upstream's dialect has another word for it: UTF-8 in the event's edit buffer.</summary>
    public ByteRange Meaning;

    /// <summary>For thinking: the field's name without quotes (<c>reasoning_content</c>, <c>reasoning</c>), since some upstreams send both.</summary>
    public ByteRange Field;

    /// <summary>For a tool call: its whole JSON object and its parts; <see cref="ToolIndex"/> is -1 when the upstream left it out.</summary>
    public ByteRange Tool;

    /// <summary>The whole <c>tool_calls</c> array this call stands in.</summary>
    public ByteRange ToolList;
    public int ToolIndex;
    public ByteRange ToolId;
    public ByteRange ToolName;
    public ByteRange ToolArguments;

    /// <summary>A stage took this part out.</summary>
    public bool Removed;

    /// <summary>A stage's own words in the place of the original's: plain UTF-8 in the event's edit buffer. For a tool call, of its arguments.</summary>
    public bool HasNewText;
    public ByteRange NewText;

    /// <summary>A stage's own id, name and index of a tool call (strings: a call is rare and its id outlives the event).</summary>
    public string? NewToolId;
    public string? NewToolName;
    public int? NewToolIndex;
}
