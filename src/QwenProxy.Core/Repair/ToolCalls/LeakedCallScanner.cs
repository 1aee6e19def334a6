using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Reads one channel's text and takes leaked calls out of it, whatever the cuts between events.</summary>
internal sealed class LeakedCallScanner(PartKind kind, int choice, DeclaredTools tools, LeakedCalls calls, int holdLimitBytes)
    : TagScanner(kind, choice)
{
    private enum State
    {
        Text,
        Parameters,
        Value,
        Arguments,
        AfterArguments,
        AfterCall,
    }

    private readonly ParameterWriter _parameters = new(tools, holdLimitBytes);
    private readonly ArgumentsReader _arguments = new();
    private State _state;
    private CodeSpans _code;
    private int _index;
    private bool _inObject;
    private bool _skipping;

    public override bool InText => _state == State.Text;

    public override bool IsDoubtful => _state == State.Text && !CallOpening.IsLikely(Pending.Span);

    public override bool PassesWhole(ReadOnlySpan<byte> text)
    {
        if (_state != State.Text || Pending.Length > 0 || text.IndexOf((byte)'<') >= 0) return false;
        _code.Advance(text, 0);
        return true;
    }

    public override int Scan(ReadOnlySpan<byte> work, ScanEnd end, PieceList pieces)
    {
        int at = 0;
        if (_state != State.Text) pieces.Break();
        while (true)
        {
            State state = _state;
            int from = at;
            at = state switch
            {
                State.Text => ReadText(work, at, end, pieces),
                State.Parameters => ReadParameters(work, at, end, pieces),
                State.Value => ReadValue(work, at, end, pieces),
                State.Arguments => ReadArguments(work, at, end, pieces),
                State.AfterArguments => SkipObjectEnd(work, at, pieces),
                _ => ReadAfterCall(work, at, end, pieces),
            };
            if (state == _state && (at == from || at == work.Length)) break;
        }

        if (end is ScanEnd.Stopped or ScanEnd.Cut) EndText(end, pieces);
        return at;
    }

    public override void Dispose()
    {
        base.Dispose();
        _parameters.Dispose();
        _arguments.Dispose();
    }

    private int ReadText(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        int at = start;
        while (true)
        {
            int tag = _code.Advance(work, at);
            if (tag == work.Length)
            {
                pieces.Text(Kind, work[start..]);
                return tag;
            }

            if (!_code.QuotesHere)
            {
                Match match = CallOpening.TryRead(work[tag..], tools, end, out CallOpening opening);
                if (match == Match.Yes || (match == Match.Maybe && end == ScanEnd.Open)) pieces.Text(Kind, work[start..tag]);
                if (match == Match.Maybe && end == ScanEnd.Open) return tag;
                if (match == Match.Yes)
                {
                    Begin(opening, pieces);
                    return tag + opening.Length;
                }
            }

            _code.Take((byte)'<');
            at = tag + 1;
        }
    }

    private void Begin(in CallOpening opening, PieceList pieces)
    {
        _index = calls.Start(pieces, Kind, opening);
        _inObject = opening.InObject;
        _skipping = false;
        switch (opening.Form)
        {
            case CallForm.Function:
                _parameters.Start(_index, opening.Name);
                _state = State.Parameters;
                break;
            case CallForm.Whole:
                pieces.Arguments(_index, opening.Arguments);
                _state = State.AfterCall;
                break;
            default:
                _arguments.Start(opening.Form == CallForm.JsonInString);
                _state = State.Arguments;
                break;
        }
    }

    private int ReadParameters(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        pieces.Break();
        int at = start + TagMatch.Space(work[start..]);
        ReadOnlySpan<byte> rest = work[at..];
        bool open = end == ScanEnd.Open;
        if (rest.IsEmpty) return open ? start : at;
        Match parameter = TagMatch.At(rest, "<parameter="u8);
        if (parameter == Match.Yes)
        {
            int close = rest.IndexOf((byte)'>');
            if (close < 0) return open ? start : work.Length;
            _parameters.Open(rest["<parameter="u8.Length..close], pieces);
            _state = State.Value;
            return at + close + 1;
        }

        Match stray = TagMatch.At(rest, "</parameter>"u8);
        if (stray == Match.Yes) return at + "</parameter>"u8.Length;
        Match ends = TagMatch.AnyOf(rest, "</function>"u8, "</tool_call>"u8, "<tool_call>"u8);
        if (open && ends != Match.Yes && (parameter == Match.Maybe || stray == Match.Maybe || ends == Match.Maybe)) return start;
        _parameters.EndCall(pieces);
        _state = State.AfterCall;
        return at;
    }

    private int ReadValue(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        bool isLast = end is ScanEnd.Stopped or ScanEnd.Cut;
        if (!_parameters.SkipFirstNewline(work, ref start, isLast)) return start;
        int from = start;
        while (true)
        {
            int tag = from < work.Length ? work[from..].IndexOf((byte)'<') : -1;
            if (tag < 0)
            {
                int tail = TagMatch.NewlineAtEnd(work[start..]);
                if (tail == 0 && end == ScanEnd.Open && work.Length > start && work[^1] == '\r') tail = 1;
                if (end == ScanEnd.NoRoom) tail = 0;
                _parameters.Take(work[start..^tail], pieces);
                return isLast ? work.Length : work.Length - tail;
            }

            tag += from;
            int newline = TagMatch.NewlineAtEnd(work[start..tag]);
            bool atLineStart = newline > 0 || (tag == start && _parameters.IsValueEmpty);
            Match match = _parameters.EndsAt(work[tag..], atLineStart, isLast, out int length);
            if (match == Match.Yes || (match == Match.Maybe && end == ScanEnd.Open)) _parameters.Take(work[start..(tag - newline)], pieces);
            if (match == Match.Yes)
            {
                _parameters.Close(pieces);
                _state = State.Parameters;
                return tag + length;
            }

            if (match == Match.Maybe && end == ScanEnd.Open) return tag - newline;
            from = tag + 1;
        }
    }

    private int ReadArguments(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        int at = start + _arguments.Take(work[start..], end == ScanEnd.Open);
        pieces.Arguments(_index, _arguments.Said);
        if (_arguments.IsOver)
        {
            calls.Incomplete |= !_arguments.IsComplete;
            _state = _inObject ? State.AfterArguments : State.AfterCall;
        }

        return at;
    }

    /// <summary>What is left of the object around name and arguments: its bracket, perhaps a further member.</summary>
    private int SkipObjectEnd(ReadOnlySpan<byte> work, int at, PieceList pieces)
    {
        pieces.Break();
        at += TagMatch.Space(work[at..]);
        if (at == work.Length) return at;
        if (work[at] == '}')
        {
            _state = State.AfterCall;
            return at + 1;
        }

        _skipping |= work[at] == ',';
        if (!_skipping || work[at] == '<')
        {
            _state = State.AfterCall;
            return at;
        }

        int close = work[at..].IndexOfAny((byte)'}', (byte)'<');
        return close < 0 ? work.Length : at + close;
    }

    private int ReadAfterCall(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        int at = start + TagMatch.Space(work[start..]);
        ReadOnlySpan<byte> rest = work[at..];
        bool open = end == ScanEnd.Open;
        pieces.Break();
        if (rest.IsEmpty && end != ScanEnd.NoRoom) return open ? start : at;
        if (!rest.IsEmpty && _inObject && rest[0] == '}') return at + 1;
        foreach (string tag in (ReadOnlySpan<string>)["</tool_call>", "</function>"])
        {
            if (!StartsWith(rest, tag)) continue;
            _inObject = false;
            return at + tag.Length;
        }

        Match next = TagMatch.AnyOf(rest, "<tool_call>"u8, "<function="u8, "</tool_call>"u8);
        if (next == Match.No) next = TagMatch.At(rest, "</function>"u8);
        if (!rest.IsEmpty && next == Match.Maybe && open) return start;
        _state = State.Text;
        _code = default;
        return next == Match.Yes ? at : start;
    }

    private static bool StartsWith(ReadOnlySpan<byte> text, string tag)
    {
        if (text.Length < tag.Length) return false;
        for (int i = 0; i < tag.Length; i++)
        {
            if (text[i] != tag[i]) return false;
        }

        return true;
    }

    /// <summary>At a stop the model was done, so a parameter left open is closed; a cut leaves the arguments as unfinished as they are.</summary>
    private void EndText(ScanEnd end, PieceList pieces)
    {
        switch (_state)
        {
            case State.Value or State.Parameters when end == ScanEnd.Stopped:
                if (_state == State.Value) _parameters.Close(pieces);
                _parameters.EndCall(pieces);
                break;
            case State.Value or State.Parameters or State.Arguments:
                calls.Incomplete = true;
                break;
        }

        _state = State.Text;
        _code = default;
    }
}
