using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// The arguments of one call while they come in pieces. What is certain is passed on at once, in upstream's own bytes; what is not waits here: a
/// JSON string, until it shows whether an object is in it, and anything behind complete arguments, which may be the same again, a bracket too
/// many, or the next call's. A lone <c>{}</c> is passed on but stays open, since some upstreams send it in place of what comes later.
/// </summary>
internal sealed class CallArguments(Action<string, RepairAction, int> note) : IDisposable
{
    /// <summary>More than this is not kept for a decision: it is passed on as it came.</summary>
    public const int MaxWaitBytes = 1024 * 1024;

    private readonly PooledBytes _waits = new(256);
    private readonly SaidArguments _said = new();
    private ArgumentsReader? _unwrapper;
    private JsonFeed _feed;
    private ArgumentsPhase _phase;
    private int _valueAt;
    private int _loneAt;
    private bool _braceSaid;
    private bool _isComplete;

    /// <summary>All that came is <c>{}</c>: it may stand in for arguments that are still to come.</summary>
    public bool IsLone { get; private set; }

    /// <summary>Nothing came that could not be a <c>{}</c>.</summary>
    public bool MayBeLone => IsLone || (_phase == ArgumentsPhase.Passing && _said.IsBareBrace);

    /// <summary>The arguments are whole, or a lone <c>{}</c>; what may follow is not theirs.</summary>
    public bool IsWhole => _isComplete || IsLone;

    /// <summary>The last piece began other arguments in the place of a lone <c>{}</c> of an earlier piece.</summary>
    public bool ReplacedLone { get; private set; }

    public bool HasAny => IsWhole || _phase != ArgumentsPhase.Between;

    /// <summary>They end in the middle.</summary>
    public bool IsUnfinished => !IsWhole && (_phase is ArgumentsPhase.Waiting or ArgumentsPhase.Unwrapping || _feed.IsOpen);

    /// <summary>What was passed on is no JSON.</summary>
    public bool IsBroken => !_said.IsWholeJson;

    public bool KeepsAny => _waits.Length > 0;

    /// <summary>Bytes kept here that a client waits for.</summary>
    public int HeldBytes => IsWhole ? 0 : _waits.Length;

    /// <summary>Takes a piece and writes what may be passed on of it and of what waited.</summary>
    /// <param name="text">The piece, cut anywhere.</param>
    /// <param name="output">Gets only these bytes; the piece's own when all is well.</param>
    /// <param name="room">How many bytes may wait for the end of a wrapper.</param>
    public void Take(ReadOnlySpan<byte> text, PooledBytes output, int room)
    {
        ReplacedLone = false;
        _loneAt = _valueAt = -1;
        output.Clear();
        TakeAll(text, output);
        if (_phase == ArgumentsPhase.Waiting && HeldBytes > room) GiveUp(output);
        if (_waits.Length <= MaxWaitBytes) return;
        note("wait-limit", RepairAction.LetGo, _waits.Length);
        KeepLone();
        SayWaiting(output);
        _phase = ArgumentsPhase.Between;
    }

    /// <summary>Nothing more comes: writes what is left to say.</summary>
    public void End(PooledBytes output)
    {
        KeepLone();
        if (_phase == ArgumentsPhase.Unwrapping || _waits.Length == 0) return;
        if (_isComplete && _phase == ArgumentsPhase.Waiting && _said.IsFollowedByNothingNew(_waits.Span)) Skip("repeated-arguments");
        else SayWaiting(output);
    }

    /// <summary>The lone <c>{}</c> is the arguments after all.</summary>
    public void KeepLone()
    {
        _isComplete |= IsLone;
        IsLone = false;
    }

    /// <summary>This upstream sends <c>{}</c> before arguments: it is taken back before they come. False when half of it was said.</summary>
    public bool DropLone()
    {
        if (!IsLone || _braceSaid || _phase != ArgumentsPhase.Between) return false;
        IsLone = false;
        Restart();
        return true;
    }

    /// <summary>Gives away other arguments that stand behind complete ones, for the call whose head came after them.</summary>
    public bool TakeForeign(PooledBytes into)
    {
        if (!_isComplete || _waits.Length == 0 || _waits.Span[0] is not ((byte)'{' or (byte)'"')) return false;
        into.Write(_waits.Span);
        _waits.Clear();
        _phase = ArgumentsPhase.Between;
        return true;
    }

    /// <summary>Nothing that has come tells these arguments from the other ones.</summary>
    public bool MayBe(CallArguments other) => IsWhole && other.IsWhole ? _said.Is(other._said) : _said.MayBecome(other._said);

    public void Dispose()
    {
        _waits.Dispose();
        _said.Dispose();
        _unwrapper?.Dispose();
    }

    private void TakeAll(ReadOnlySpan<byte> text, PooledBytes output)
    {
        while (!text.IsEmpty)
        {
            int taken = _phase switch
            {
                ArgumentsPhase.Between => Begin(text, output),
                ArgumentsPhase.Passing => Pass(text, output),
                ArgumentsPhase.Waiting => Wait(text, output),
                ArgumentsPhase.Unwrapping => Unwrap(text, output),
                _ => WaitOn(text),
            };
            text = text[taken..];
        }
    }

    private int Begin(ReadOnlySpan<byte> text, PooledBytes output)
    {
        int at = JsonScanner.SkipSpace(text, 0);
        output.Write(text[..at]);
        if (at == text.Length) return at;
        if (IsWhole && text[at] is (byte)'}' or (byte)']')
        {
            note("surplus-bracket", RepairAction.Removed, 1);
            return at + 1;
        }

        Restart();
        // What begins with n may be a null in the place of arguments.
        if (IsWhole || text[at] is (byte)'"' or (byte)'n') _phase = ArgumentsPhase.Waiting;
        else (_phase, _valueAt) = (ArgumentsPhase.Passing, output.Length);
        return at;
    }

    /// <summary>Passes a value on up to its end.</summary>
    private int Pass(ReadOnlySpan<byte> text, PooledBytes output)
    {
        int start = output.Length;
        int taken = _feed.Pass(text, output, out int escaped);
        if (escaped > 0) note("raw-control", RepairAction.Rewritten, escaped);
        _said.Add(output.Span[start..]);
        if (!_feed.Complete) return taken;
        _phase = ArgumentsPhase.Between;
        IsLone = _said.IsEmptyObject;
        _isComplete = !IsLone;
        _braceSaid = IsLone && _valueAt < 0;
        _loneAt = _braceSaid ? 0 : _valueAt;
        return taken;
    }

    private int Wait(ReadOnlySpan<byte> text, PooledBytes output)
    {
        int at = 0;
        while (at < text.Length && _phase == ArgumentsPhase.Waiting)
        {
            byte value = text[at++];
            _feed.TakeByte(value);
            _waits.Write([value]);
            if (_feed.Complete) Decide(output);
            else Peek(value, output);
        }

        return at;
    }

    /// <summary>What the first bytes of a value may tell already.</summary>
    private void Peek(byte value, PooledBytes output)
    {
        switch (_waits.Span[0])
        {
            case (byte)'"' when IsWhole && _waits.Length == 2 && value is (byte)'}' or (byte)']':
                Skip("surplus-bracket");
                break;
            case (byte)'{' when IsLone && _waits.Length > 1 && !_waits.Span[1..].Trim(" \t\r\n"u8).IsEmpty:
                Replace(_waits.Span.ToArray(), output);
                break;
            case (byte)'n' when !IsWhole && _waits.Span.SequenceEqual("null"u8):
                Skip("placeholder");
                break;
            case (byte)'n' when !IsWhole && !"null"u8.StartsWith(_waits.Span):
                PassInstead(_waits.Span.ToArray(), output);
                break;
        }
    }

    /// <summary>A value that waited is complete.</summary>
    private void Decide(PooledBytes output)
    {
        bool isString = _waits.Span[0] == '"';
        using PooledBytes inside = new(_waits.Length);
        bool isWrapper = isString && WrappedArguments.TryUnwrap(_waits.Span, inside);
        byte[] value = isWrapper ? inside.Span.Trim(" \t\r\n"u8).ToArray() : _waits.Span.ToArray();
        if (isString && value.AsSpan(1, value.Length - 2).Trim(" \t\r\n"u8).IsEmpty) Skip(IsWhole ? "surplus-bracket" : "placeholder");
        else if (IsWhole && _said.Is(value)) Skip("repeated-arguments");
        else if (_isComplete || (IsLone && !isWrapper)) _phase = ArgumentsPhase.Foreign;
        else
        {
            if (isWrapper) note("unwrapped", RepairAction.Rewritten, _waits.Length);
            if (IsLone) Replace(value, output);
            else PassInstead(value, output);
        }
    }

    private void Skip(string rule)
    {
        note(rule, RepairAction.Removed, _waits.Length);
        _waits.Clear();
        _phase = ArgumentsPhase.Between;
    }

    /// <summary>Other arguments take the place of a lone <c>{}</c>; a brace that was said in an earlier piece is theirs now.</summary>
    private void Replace(byte[] value, PooledBytes output)
    {
        note("placeholder", RepairAction.Removed, 2);
        IsLone = false;
        ReplacedLone = _loneAt < 0;
        if (_loneAt >= 0) output.Truncate(_loneAt);
        PassInstead(value, output);
    }

    /// <summary>Says a value that waited, and what it was waiting for.</summary>
    private void PassInstead(ReadOnlySpan<byte> value, PooledBytes output)
    {
        Restart();
        (_phase, _valueAt) = (ArgumentsPhase.Passing, _braceSaid ? -1 : output.Length);
        if (_braceSaid)
        {
            _braceSaid = false;
            _feed.TakeByte(value[0]);
            _said.Add(value[..1]);
            value = value[1..];
        }

        TakeAll(value, output);
    }

    /// <summary>No room to wait. A wrapper around what begins as an object is taken off unproven: as a string the arguments are sure to fail.</summary>
    private void GiveUp(PooledBytes output)
    {
        byte[] value = _waits.Span.ToArray();
        bool isObject = WrappedArguments.BeginsWithObject(value);
        note(isObject ? "unwrapped-streaming" : "hold-limit", isObject ? RepairAction.Rewritten : RepairAction.LetGo, value.Length);
        Restart();
        (_unwrapper ??= new ArgumentsReader()).Start(inString: true);
        _phase = isObject ? ArgumentsPhase.Unwrapping : ArgumentsPhase.Passing;
        TakeAll(value, output);
    }

    private int Unwrap(ReadOnlySpan<byte> text, PooledBytes output)
    {
        WaitOn(text);
        int taken = _unwrapper!.Take(_waits.Span, more: true);
        Say(_unwrapper.Said, output);
        _waits.Consume(taken);
        if (!_unwrapper.IsOver) return text.Length;
        int left = _waits.Length;
        _isComplete = true;
        Restart();
        return text.Length - left;
    }

    private int WaitOn(ReadOnlySpan<byte> text)
    {
        _waits.Write(text);
        return text.Length;
    }

    private void SayWaiting(PooledBytes output)
    {
        Say(_waits.Span, output);
        _waits.Clear();
    }

    private void Say(ReadOnlySpan<byte> text, PooledBytes output)
    {
        output.Write(text);
        _said.Add(text);
    }

    private void Restart()
    {
        _waits.Clear();
        _feed = default;
        _phase = ArgumentsPhase.Between;
        if (!IsWhole) _said.Clear();
    }
}
