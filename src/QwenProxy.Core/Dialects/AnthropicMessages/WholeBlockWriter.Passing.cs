using QwenProxy.Core.Events;
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

    public override void PassStart(ChatEvent e) => Start(Token(e.Id.In(e.Data.Span)), Token(e.Model.In(e.Data.Span)));

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
    }

    public override void EndPassed(ChatEvent? last) => End(_stopReason, _stopSequence, _usage);

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
