using System.Buffers;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Writes a request as the text a model reads: in the form of Qwen3's published chat template, special tokens included. Only for counting.
/// Other generations frame a little otherwise (tool calls as XML, thinking of earlier turns left out), so for them it comes close.
/// </summary>
internal sealed class TemplateText(IBufferWriter<byte> output)
{
    /// <summary>The current message has said something, from which the next text must be kept apart.</summary>
    private bool _said;

    /// <summary>Images met; their tokens are not in the text.</summary>
    public int Images { get; private set; }

    public void Write(in MessagesFields fields)
    {
        WriteHead(fields.SystemPrompt, fields.Tools);
        JsonScanner items = new(JsonField.IsArray(fields.Messages) ? fields.Messages : "[]"u8);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> message = items.Value.In(fields.Messages);
            WriteMessage(JsonField.Find(message, "role"u8), JsonField.Find(message, "content"u8));
        }

        output.Write("<|im_start|>assistant\n"u8);
    }

    private void WriteHead(ReadOnlySpan<byte> system, ReadOnlySpan<byte> tools)
    {
        bool hasTools = false;
        JsonScanner items = new(JsonField.IsArray(tools) ? tools : "[]"u8);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> tool = items.Value.In(tools);
            if (!JsonField.IsObject(JsonField.Find(tool, "input_schema"u8)) || JsonField.IsTrue(JsonField.Find(tool, "defer_loading"u8))) continue;
            if (!hasTools) OpenTools(system);
            hasTools = true;
            WriteTool(tool);
        }

        if (hasTools) output.Write(ToolsEnd);
        else if (!system.IsEmpty) WriteTurn("system"u8, system);
    }

    private static ReadOnlySpan<byte> ToolsEnd =>
        "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"u8 +
        "<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n"u8;

    private void OpenTools(ReadOnlySpan<byte> system)
    {
        Open("system"u8);
        WriteContent(system);
        Separate("\n\n"u8);
        output.Write("# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"u8);
        output.Write("You are provided with function signatures within <tools></tools> XML tags:\n<tools>"u8);
    }

    private void WriteTool(ReadOnlySpan<byte> tool)
    {
        output.Write("\n{\"type\": \"function\", \"function\": {\"name\": "u8);
        output.Write(JsonField.Find(tool, "name"u8));
        ReadOnlySpan<byte> description = JsonField.Find(tool, "description"u8);
        if (!description.IsEmpty) output.Write(", \"description\": "u8);
        output.Write(description);
        output.Write(", \"parameters\": "u8);
        WriteSpaced(JsonField.Find(tool, "input_schema"u8));
        output.Write("}}"u8);
    }

    /// <summary>The results of tools are a turn of their own, before whatever else the message says.</summary>
    private void WriteMessage(ReadOnlySpan<byte> role, ReadOnlySpan<byte> content)
    {
        int results = 0;
        int others = 0;
        JsonScanner blocks = new(JsonField.IsArray(content) ? content : "[]"u8);
        while (blocks.MoveNext())
        {
            ContentBlock block = ContentBlock.Read(blocks.Value.In(content));
            if (!block.Is("tool_result"u8))
            {
                others++;
                continue;
            }

            if (results++ == 0) output.Write("<|im_start|>user"u8);
            output.Write("\n<tool_response>\n"u8);
            _said = false;
            WriteContent(block.Content);
            output.Write("\n</tool_response>"u8);
        }

        if (results > 0) output.Write("<|im_end|>\n"u8);
        if (results == 0 || others > 0) WriteTurn(JsonField.Inside(role), content);
    }

    private void WriteTurn(ReadOnlySpan<byte> role, ReadOnlySpan<byte> content)
    {
        Open(role);
        WriteContent(content);
        output.Write("<|im_end|>\n"u8);
    }

    private void Open(ReadOnlySpan<byte> role)
    {
        output.Write("<|im_start|>"u8);
        output.Write(role);
        output.Write("\n"u8);
        _said = false;
    }

    /// <summary>A string or the blocks of an array, but for tool results.</summary>
    private void WriteContent(ReadOnlySpan<byte> content)
    {
        WriteText(content);
        JsonScanner blocks = new(JsonField.IsArray(content) ? content : "[]"u8);
        while (blocks.MoveNext()) WriteBlock(ContentBlock.Read(blocks.Value.In(content)));
    }

    private void WriteBlock(in ContentBlock block)
    {
        if (block.Is("tool_result"u8)) return;
        if (block.Is("image"u8)) Images++;
        else if (block.Is("thinking"u8)) WriteThinking(block);
        else if (block.Is("tool_use"u8)) WriteCall(block.Name, block.Input);
        else
        {
            WriteText(block.Title);
            WriteText(block.Context);
            WriteText(block.Text);
            ContentBlock source = ContentBlock.Read(block.Source);
            if (source.Is("text"u8)) WriteText(JsonField.Find(block.Source, "data"u8));
            WriteContent(source.Content);
            WriteContent(block.Content);
        }
    }

    private void WriteThinking(in ContentBlock block)
    {
        using PooledBytes words = new(1024);
        words.Write(JsonField.Inside(block.Thinking));
        if (words.Length == 0) ThinkingSignature.AppendCarried(JsonField.Text(block.Signature), words);
        if (words.Length == 0) return;
        output.Write("<think>\n"u8);
        JsonText.Unescape(words.Span, output);
        output.Write("\n</think>\n\n"u8);
        _said = false;
    }

    private void WriteCall(ReadOnlySpan<byte> name, ReadOnlySpan<byte> input)
    {
        Separate("\n"u8);
        output.Write("<tool_call>\n{\"name\": "u8);
        output.Write(name);
        output.Write(", \"arguments\": "u8);
        WriteSpaced(input.IsEmpty ? "{}"u8 : input);
        output.Write("}\n</tool_call>"u8);
        _said = true;
    }

    private void WriteText(ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> inside = JsonField.Inside(value);
        if (inside.IsEmpty) return;
        Separate("\n\n"u8);
        JsonText.Unescape(inside, output);
        _said = true;
    }

    private void Separate(ReadOnlySpan<byte> separator)
    {
        if (_said) output.Write(separator);
    }

    /// <summary>JSON with a space behind each colon and comma and nowhere else, as templates write it.</summary>
    private void WriteSpaced(ReadOnlySpan<byte> json)
    {
        while (!json.IsEmpty)
        {
            int length = json[0] == '"' ? StringLength(json) : 1;
            if (json[0] is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')) output.Write(json[..length]);
            if (json[0] is (byte)':' or (byte)',') output.Write(" "u8);
            json = json[length..];
        }
    }

    /// <summary>The length of the string at the beginning, with its quotes.</summary>
    private static int StringLength(ReadOnlySpan<byte> json)
    {
        int at = 1;
        while (json[at] != '"') at += json[at] == '\\' ? 2 : 1;
        return at + 1;
    }
}
