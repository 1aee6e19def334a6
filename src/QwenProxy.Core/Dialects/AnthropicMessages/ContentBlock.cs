using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// The members of one content block as slices of the request; absent and null ones are empty. All are found in one walk: a block may hold
/// megabytes, and looking for each member by itself would read them as often.
/// </summary>
internal ref struct ContentBlock
{
    public ReadOnlySpan<byte> Type;
    public ReadOnlySpan<byte> Text;
    public ReadOnlySpan<byte> Source;
    public ReadOnlySpan<byte> Content;
    public ReadOnlySpan<byte> Title;
    public ReadOnlySpan<byte> Context;
    public ReadOnlySpan<byte> Id;
    public ReadOnlySpan<byte> Name;
    public ReadOnlySpan<byte> ToolName;
    public ReadOnlySpan<byte> Tool;
    public ReadOnlySpan<byte> Input;
    public ReadOnlySpan<byte> ToolUseId;
    public ReadOnlySpan<byte> IsError;
    public ReadOnlySpan<byte> Thinking;
    public ReadOnlySpan<byte> Signature;
    public ReadOnlySpan<byte> CacheControl;

    public static ContentBlock Read(ReadOnlySpan<byte> json)
    {
        ContentBlock block = default;
        if (!JsonField.IsObject(json)) return block;
        JsonScanner members = new(json);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(json);
            block.Take(members, value.SequenceEqual("null"u8) ? default : value);
        }

        return block;
    }

    public readonly bool Is(ReadOnlySpan<byte> type) => JsonField.StringIs(Type, type);

    public readonly bool IsMarked => JsonField.IsObject(CacheControl);

    private void Take(in JsonScanner member, ReadOnlySpan<byte> value)
    {
        if (member.NameIs("type"u8)) Type = value;
        else if (member.NameIs("text"u8)) Text = value;
        else if (member.NameIs("content"u8)) Content = value;
        else if (member.NameIs("tool_use_id"u8)) ToolUseId = value;
        else if (member.NameIs("cache_control"u8)) CacheControl = value;
        else if (member.NameIs("id"u8)) Id = value;
        else if (member.NameIs("name"u8)) Name = value;
        else if (member.NameIs("input"u8)) Input = value;
        else if (member.NameIs("is_error"u8)) IsError = value;
        else if (member.NameIs("thinking"u8)) Thinking = value;
        else if (member.NameIs("signature"u8)) Signature = value;
        else if (member.NameIs("source"u8)) Source = value;
        else if (member.NameIs("title"u8)) Title = value;
        else if (member.NameIs("context"u8)) Context = value;
        else if (member.NameIs("tool_name"u8)) ToolName = value;
        else if (member.NameIs("tool"u8)) Tool = value;
    }
}
