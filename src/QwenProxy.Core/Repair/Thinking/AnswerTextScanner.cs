using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>
/// Reads one channel of a choice and says what its text is: answer, thinking or a leaked call. One reading for both kinds of tags, since each has to
/// know of the other: a think tag in a call's arguments is none, and a call in thinking is not yet a call.
/// </summary>
internal sealed partial class AnswerTextScanner : TagScanner
{
    private const int MaxNewlinesAfter = 2;
    private const int MaxNewlinesBefore = 4;

    private readonly ChoiceText _choice;
    private readonly CallReader _call;
    private readonly bool _hasTags;
    private State _state;
    private CodeSpans _code;

    /// <summary>Bytes at the front of what is undecided that <see cref="_code"/> has taken.</summary>
    private int _codeAhead;
    private int _newlines;
    private int _quotedOpenings;
    private bool _firstOfThinking;
    private bool _saidWords;
    private bool _spaceWaits;

    private enum State
    {
        /// <summary>Nothing but newlines has come: a think tag would open the answer.</summary>
        Start,

        /// <summary>In the answer, where a closing tag without an opening one may still show that what came was thinking.</summary>
        Answer,
        Thinking,

        /// <summary>Behind a closing tag, where newlines are layout.</summary>
        AfterThinking,

        /// <summary>No think tag is looked for any more.</summary>
        Passing,
    }

    public AnswerTextScanner(PartKind kind, ChoiceText choice)
        : base(kind, choice.Index)
    {
        _choice = choice;
        _call = new CallReader(choice.Tools, choice.HoldLimitBytes);
        _hasTags = kind == PartKind.Content && choice.ReadsThinking;
        _state = kind == PartKind.Reasoning ? State.Thinking : _hasTags ? State.Start : State.Passing;
    }

    public override bool InText => !_call.IsReading && !Waiting.IsOpen && !_choice.Waits && (_state is State.Start or State.Answer or State.Passing || !_hasTags);

    /// <inheritdoc/>
    /// <remarks>Inside thinking a last newline waits for the next event; nobody misses it meanwhile.</remarks>
    public override bool IsDoubtful
    {
        get
        {
            if (_call.IsReading || Waiting.IsOpen || _choice.Waits) return false;
            int tag = Pending.Span.IndexOf((byte)'<');
            if (tag < 0) return InText;
            ReadOnlySpan<byte> text = Pending.Span[tag..];
            return !(_choice.ReadsCalls && CallTags.IsLikely(text)) && !(_hasTags && ThinkTag.IsLikely(text));
        }
    }

    public override int WithheldBytes => _choice.IsWhole ? 0 : Waiting.WithheldBytes;

    public WaitingText Waiting { get; } = new();

    /// <summary>The text is read as thinking although no tag opened it: what came so far, in case no tag closes it.</summary>
    public PooledBytes? Assumed { get; private set; }

    /// <summary>
    /// Nothing was shown yet, so a closing tag can still make thinking of all that came: the text so far, up to a first call, from which on it waits.
    /// </summary>
    private PooledBytes? Unsettled { get; set; }

    public override bool PassesWhole(ReadOnlySpan<byte> text)
    {
        if (Pending.Length > 0 || !InText || _state == State.Start) return false;
        if (_state == State.Passing && !_choice.ReadsCalls) return true;
        if (text.IndexOf((byte)'<') >= 0) return false;
        _code.Advance(text, 0);
        Unsettled?.Write(text);
        _saidWords = true;
        return true;
    }

    public override int Scan(ReadOnlySpan<byte> work, ScanEnd end, PieceList pieces)
    {
        bool isOver = end is not (ScanEnd.Open or ScanEnd.NoRoom);
        if (!InText) pieces.Break();
        // White space between thinking and what may follow it tells nothing yet.
        bool isSpace = _state != State.Thinking && work.Trim(" \t\r\n"u8).IsEmpty;
        if (isSpace && _choice.Waits && end == ScanEnd.Open)
        {
            _spaceWaits = true;
            return 0;
        }

        if (isSpace && isOver && (_spaceWaits || Waiting.IsOpen))
        {
            EndText(end, pieces);
            // White space around a removed call is free.
            if (_choice.Calls.Made == 0) pieces.Text(Kind, work);
            return work.Length;
        }

        _spaceWaits = false;
        int at = ReadAll(work, end, pieces);
        if (isOver) EndText(end, pieces);
        return at;
    }

    public override void ShowWithheld(PieceList pieces) => Waiting.Show(pieces);

    /// <summary>A real call was seen: what came before it was answered for.</summary>
    public void Settle()
    {
        Unsettled?.Dispose();
        Unsettled = null;
    }

    public override void Dispose()
    {
        base.Dispose();
        _call.Dispose();
        Waiting.Dispose();
        Assumed?.Dispose();
        Unsettled?.Dispose();
    }
}
