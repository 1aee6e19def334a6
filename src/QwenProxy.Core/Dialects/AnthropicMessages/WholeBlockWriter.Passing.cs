using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests.Quirks;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Upstream's own blocks, gathered: what is not known here is kept as it was announced.</summary>
internal sealed partial class WholeBlockWriter
{
    /// <summary>Of a known block the members that nothing here knows, of an unknown one all of it.</summary>
    private readonly PooledBytes _passed = new(64);
    private byte[] _signature = [];
    private bool _isPassed;
    private int _blockStart;
    private string _stopReason = "";
    private string? _stopSequence;
    private MessagesUsage _usage;

    /// <summary>The message as upstream announced it; null for one of our own.</summary>
    private JsonObjectDraft? _message;

    /// <summary>What upstream said at its end: counts, and members of the message that are known only then.</summary>
    private byte[] _ending = [];

    public override void PassStart(ChatEvent e) => _message = JsonObjectDraft.Read(e.Frame.Subject.In(e.Data.Span).ToArray());

    public override void PassOpen(ChatEvent e, int index, BlockKind kind)
    {
        ReadOnlySpan<byte> block = e.Frame.Subject.In(e.Data.Span);
        _isPassed = true;
        _signature = [];
        if (kind == BlockKind.Other)
        {
            _kind = kind;
            _blockStart = _content.Length;
            _arguments.Clear();
            if (index > 0) _content.Write(","u8);
            _passed.Write(block);
            return;
        }

        Open(index, kind, JsonField.Text(JsonField.Find(block, "id"u8)), JsonField.Text(JsonField.Find(block, "name"u8)));
        JsonScanner members = new(block);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(block);
            if (members.NameIs("text"u8) || members.NameIs("thinking"u8)) Append(JsonField.Inside(value));
            else if (members.NameIs("input"u8) && value.Length > 2) AppendPlain(value);
            else if (members.NameIs("signature"u8)) _signature = value.ToArray();
            else if (!members.NameIs("type"u8) && !members.NameIs("id"u8) && !members.NameIs("name"u8) && !members.NameIs("input"u8))
            {
                _passed.Write(","u8);
                _passed.Write(block[members.Name.Start..members.Value.End]);
            }
        }
    }

    public override void PassDelta(ChatEvent e)
    {
        ReadOnlySpan<byte> delta = e.Frame.Subject.In(e.Data.Span);
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Place != PartPlace.Original) continue;
            AppendPlain(e.Text(part));
            return;
        }

        if (JsonField.StringIs(JsonField.Find(delta, "type"u8), "signature_delta"u8)) _signature = JsonField.Find(delta, "signature"u8).ToArray();
        else JsonText.Unescape(JsonField.Inside(JsonField.Find(delta, "partial_json"u8)), _arguments);
    }

    /// <summary>The block ends when another begins or the message does.</summary>
    public override void PassClose(ChatEvent e)
    {
    }

    public override void Forget()
    {
        _content.Truncate(_blockStart);
        _passed.Clear();
        _isPassed = false;
    }

    public override void PassEnd(ChatEvent e, string? stopReason, MessagesUsage usage)
    {
        ReadOnlySpan<byte> delta = JsonField.Find(e.Data.Span, "delta"u8);
        _stopReason = stopReason ?? JsonField.Text(JsonField.Find(delta, "stop_reason"u8));
        ReadOnlySpan<byte> sequence = JsonField.Find(delta, "stop_sequence"u8);
        _stopSequence = JsonField.IsString(sequence) ? JsonField.Text(sequence) : null;
        _usage = usage;
        _ending = e.Data.ToArray();
    }

    public override void EndPassed(ChatEvent? last) => End(_stopReason, _stopSequence, _usage);

    /// <summary>Upstream's message with what was said, and every member of it that nothing here knows.</summary>
    private void EndMessage(string stopReason, string? stopSequence, MessagesUsage usage)
    {
        JsonObjectDraft message = _message!;
        message.Set("type"u8, "\"message\""u8);
        message.Set("content"u8, [(byte)'[', .. _content.Span, (byte)']']);
        JsonObjectDraft counts = JsonObjectDraft.Read(message.FindMember("usage"u8)?.Value is { Length: > 2 } begun && begun.Span[0] == '{' ? begun : "{}"u8.ToArray());
        Copy(JsonField.Find(_ending, "usage"u8), counts);
        Count(counts, "input_tokens"u8, usage.Input);
        Count(counts, "cache_creation_input_tokens"u8, usage.CacheCreation);
        Count(counts, "cache_read_input_tokens"u8, usage.CacheRead);
        Count(counts, "output_tokens"u8, usage.Output);
        Copy(JsonField.Find(_ending, "delta"u8), message);
        Copy(_ending, message, isEvent: true);
        message.Set("stop_reason"u8, JsonText.Quote(stopReason));
        message.Set("stop_sequence"u8, stopSequence is null ? "null"u8 : JsonText.Quote(stopSequence));
        message.Set("usage"u8, counts.ToBytes());
        output.Write(message.ToBytes());
    }

    private static void Count(JsonObjectDraft counts, ReadOnlySpan<byte> name, long tokens)
    {
        // Upstream that does not count its cache need not be said to.
        if (tokens > 0 || counts.FindMember(name) is not null) counts.Set(name, Encoding.ASCII.GetBytes(tokens.ToString(CultureInfo.InvariantCulture)));
    }

    private static void Copy(ReadOnlySpan<byte> from, JsonObjectDraft to, bool isEvent = false)
    {
        if (!JsonField.IsObject(from)) return;
        JsonScanner members = new(from);
        while (members.MoveNext())
        {
            if (isEvent && (members.NameIs("type"u8) || members.NameIs("delta"u8) || members.NameIs("usage"u8))) continue;
            to.Set(members.Name.In(from)[1..^1], members.Value.In(from));
        }
    }

    public override void PassIdle(ChatEvent e)
    {
    }

    private static ReadOnlySpan<byte> Token(ReadOnlySpan<byte> value) => JsonField.IsString(value) ? value : "\"\""u8;

    /// <summary>What a passed block has besides its words.</summary>
    private void ClosePassed(bool unsigned)
    {
        if (!_isPassed) return;
        _isPassed = false;
        if (_kind == BlockKind.Thinking && unsigned)
        {
            _content.Write(",\"signature\":"u8);
            _content.Write(Token(_signature));
        }

        _content.Write(_passed.Span);
        _passed.Clear();
    }

    /// <summary>An unknown block as it was announced, with the input that was told piece by piece.</summary>
    private void CloseOther()
    {
        ByteRange input = _arguments.Length == 0 ? default : JsonScanner.Find(_passed.Span, "input"u8);
        if (input.IsEmpty) _content.Write(_passed.Span);
        else
        {
            _content.Write(_passed.Span[..input.Start]);
            _content.Write(_arguments.Span);
            _content.Write(_passed.Span[input.End..]);
        }

        _passed.Clear();
        _isPassed = false;
    }
}
