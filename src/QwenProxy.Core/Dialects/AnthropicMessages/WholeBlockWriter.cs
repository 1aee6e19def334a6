using System.Buffers;
using System.Text;
using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>The same blocks as one message object, written when it ends.</summary>
internal sealed partial class WholeBlockWriter(IBufferWriter<byte> output) : BlockWriter
{
    private readonly PooledBytes _head = new(256);
    private readonly PooledBytes _content = new(4096);
    private readonly PooledBytes _arguments = new(256);
    private BlockKind _kind;

    public override void Start(string id, ReadOnlySpan<byte> modelToken, MessagesUsage usage)
    {
        _head.Write("{\"id\":"u8);
        _head.Write(JsonText.Quote(id));
        _head.Write(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        _head.Write(modelToken);
        _head.Write(",\"content\":["u8);
    }

    public override void Open(int index, BlockKind kind, string id, string name)
    {
        _kind = kind;
        _blockStart = _content.Length;
        if (index > 0) _content.Write(","u8);
        if (kind == BlockKind.Text) _content.Write("{\"type\":\"text\",\"text\":\""u8);
        else if (kind == BlockKind.Thinking) _content.Write("{\"type\":\"thinking\",\"thinking\":\""u8);
        else
        {
            _arguments.Clear();
            _content.Write("{\"type\":\"tool_use\",\"id\":"u8);
            JsonText.WriteString(Encoding.UTF8.GetBytes(id), _content);
            _content.Write(",\"name\":"u8);
            JsonText.WriteString(Encoding.UTF8.GetBytes(name), _content);
            _content.Write(",\"input\":"u8);
        }
    }

    public override void Append(ReadOnlySpan<byte> inside)
    {
        if (_kind == BlockKind.ToolUse) JsonText.Unescape(inside, _arguments);
        else _content.Write(inside);
    }

    public override void AppendPlain(ReadOnlySpan<byte> utf8)
    {
        if (_kind == BlockKind.ToolUse) _arguments.Write(utf8);
        else JsonText.WriteInside(utf8, _content);
    }

    public override void Close(string? signature)
    {
        if (_kind == BlockKind.Other)
        {
            CloseOther();
            return;
        }

        if (_kind == BlockKind.ToolUse) WriteInput();
        else _content.Write("\""u8);
        if (signature is not null)
        {
            _content.Write(",\"signature\":"u8);
            JsonText.WriteString(Encoding.ASCII.GetBytes(signature), _content);
        }

        ClosePassed(signature is null);
        _content.Write("}"u8);
    }

    public override void End(string stopReason, string? stopSequence, MessagesUsage usage)
    {
        if (_message is not null)
        {
            EndMessage(stopReason, stopSequence, usage);
            return;
        }

        output.Write(_head.Span);
        output.Write(_content.Span);
        output.Write("],"u8);
        // The stop fields are the members of an object of their own in a stream, and the message's here.
        _arguments.Clear();
        SseBlockWriter.WriteStop(_arguments, stopReason, stopSequence);
        output.Write(_arguments.Span[1..]);
        output.Write(",\"usage\":"u8);
        usage.WriteTo(output);
        output.Write("}"u8);
    }

    public override void Ping()
    {
    }

    public override void Dispose()
    {
        _head.Dispose();
        _content.Dispose();
        _passed.Dispose();
        _arguments.Dispose();
    }

    /// <summary>
    /// A call's input must be an object here. Arguments that are none (cut off, or never JSON) are kept under the key that Anthropic recommends for
    /// handing back broken input, rather than lost.
    /// </summary>
    private void WriteInput()
    {
        ReadOnlySpan<byte> text = _arguments.Span.Trim(" \t\r\n"u8);
        if (text.IsEmpty) _content.Write("{}"u8);
        else if (IsObject(text)) _content.Write(text);
        else
        {
            _content.Write("{\"INVALID_JSON\":"u8);
            JsonText.WriteString(text, _content);
            _content.Write("}"u8);
        }
    }

    private static bool IsObject(ReadOnlySpan<byte> text)
    {
        if (text[0] != '{') return false;
        try
        {
            Utf8JsonReader reader = new(text, new JsonReaderOptions { MaxDepth = 256 });
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
