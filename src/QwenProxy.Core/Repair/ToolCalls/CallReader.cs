using QwenProxy.Core.Repair.Tags;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Reads a leaked call from its opening to its end, whatever the cuts between events, and says it as pieces of a real call. In here only the call's
/// own ends are markup: think tags, code fences and other calls are text of its arguments.
/// </summary>
internal sealed class CallReader(DeclaredTools tools, int holdLimitBytes) : IDisposable
{
    private enum State
    {
        Parameters,
        Value,
        Arguments,
        AfterArguments,
        AfterCall,
    }

    private readonly ParameterWriter _parameters = new(tools, holdLimitBytes);
    private readonly ArgumentsReader _arguments = new();
    private State _state;
    private int _index;
    private bool _inObject;
    private bool _skipping;

    /// <summary>A call has begun and its end has not been read.</summary>
    public bool IsReading { get; private set; }

    /// <summary>The call's arguments have not ended: anything may still be text of them.</summary>
    public bool InArguments => IsReading && _state is State.Parameters or State.Value or State.Arguments;

    /// <summary>The last call's arguments were not finished.</summary>
    public bool IsIncomplete { get; private set; }

    public void Begin(in CallOpening opening, int index, PieceList pieces)
    {
        IsReading = true;
        IsIncomplete = false;
        _index = index;
        _inObject = opening.InObject;
        _skipping = false;
        switch (opening.Form)
        {
            case CallForm.Function:
                _parameters.Start(index, opening.Name, opening.IsWrapped);
                _state = State.Parameters;
                break;
            case CallForm.Whole:
                pieces.Arguments(index, opening.Arguments);
                _state = State.AfterCall;
                break;
            default:
                _arguments.Start(opening.Form == CallForm.JsonInString);
                _state = State.Arguments;
                break;
        }
    }

    /// <summary>Reads on from <paramref name="at"/> as far as can be decided and returns how far that is. What stands behind the call is not read.</summary>
    public int Read(ReadOnlySpan<byte> work, int at, ScanEnd end, PieceList pieces)
    {
        while (IsReading)
        {
            State state = _state;
            int from = at;
            at = state switch
            {
                State.Parameters => ReadParameters(work, at, end, pieces),
                State.Value => ReadValue(work, at, end, pieces),
                State.Arguments => ReadArguments(work, at, end, pieces),
                State.AfterArguments => SkipObjectEnd(work, at),
                _ => ReadAfterCall(work, at, end),
            };
            if (state == _state && (at == from || at == work.Length)) break;
        }

        return at;
    }

    /// <summary>At a stop the model was done, so a parameter left open is closed; a cut leaves the arguments as unfinished as they are.</summary>
    public void End(ScanEnd end, PieceList pieces)
    {
        if (_state is State.Value or State.Parameters && end != ScanEnd.Cut)
        {
            if (_state == State.Value) _parameters.Close(pieces);
            _parameters.EndCall(pieces);
        }
        else IsIncomplete |= _state is State.Value or State.Parameters or State.Arguments;

        IsReading = false;
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _arguments.Dispose();
    }

    private int ReadParameters(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        int at = start + TagMatch.Space(work[start..]);
        ReadOnlySpan<byte> rest = work[at..];
        bool open = end == ScanEnd.Open;
        if (rest.IsEmpty) return open ? start : at;
        Match parameter = CallTags.Parameter(rest, out ReadOnlySpan<byte> name, out int length);
        if (parameter == Match.Yes)
        {
            _parameters.Open(name, pieces);
            _state = State.Value;
            return at + length;
        }

        Match stray = CallTags.ParameterEnd(rest, out length);
        if (stray == Match.Yes) return at + length;
        Match ends = CallTags.Better(CallTags.AnyEnd(rest, out _), CallTags.AnyStart(rest));
        if (open && ends != Match.Yes && CallTags.Better(ends, CallTags.Better(parameter, stray)) == Match.Maybe) return start;
        _parameters.EndCall(pieces);
        _state = State.AfterCall;
        // An opening that was cut off by the end of the text says nothing.
        return parameter == Match.Maybe && rest.Length > "<parameter"u8.Length ? work.Length : at;
    }

    private int ReadValue(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        bool isLast = end is not (ScanEnd.Open or ScanEnd.NoRoom);
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
            IsIncomplete = !_arguments.IsComplete;
            _state = _inObject ? State.AfterArguments : State.AfterCall;
        }

        return at;
    }

    /// <summary>What is left of the object around name and arguments: its bracket, perhaps a further member.</summary>
    private int SkipObjectEnd(ReadOnlySpan<byte> work, int at)
    {
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

    private int ReadAfterCall(ReadOnlySpan<byte> work, int start, ScanEnd end)
    {
        int at = start + TagMatch.Space(work[start..]);
        ReadOnlySpan<byte> rest = work[at..];
        bool open = end == ScanEnd.Open;
        if (rest.IsEmpty && end != ScanEnd.NoRoom) return open ? start : at;
        if (!rest.IsEmpty && _inObject && rest[0] == '}') return at + 1;
        Match close = CallTags.AnyEnd(rest, out int length);
        if (close == Match.Yes)
        {
            _inObject = false;
            return at + length;
        }

        Match next = CallTags.AnyStart(rest);
        if (!rest.IsEmpty && open && (close == Match.Maybe || next == Match.Maybe)) return start;
        IsReading = false;
        return next == Match.Yes ? at : start;
    }
}
