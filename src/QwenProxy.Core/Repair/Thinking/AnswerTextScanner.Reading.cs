using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Thinking;

/// <content>The states and what each makes of its text.</content>
internal sealed partial class AnswerTextScanner
{
    private bool IsThinking => _state == State.Thinking;

    private int ReadAll(ReadOnlySpan<byte> work, ScanEnd end, PieceList pieces)
    {
        int at = 0;
        while (true)
        {
            (State, bool) before = (_state, _call.IsReading);
            int from = at;
            if (_call.IsReading) at = ReadCall(work, at, end, pieces);
            else
            {
                at = _state switch
                {
                    State.Start => ReadStart(work, at, end, pieces),
                    State.AfterThinking => SkipNewlines(work, at, pieces),
                    _ => ReadText(work, at, end, pieces),
                };
            }

            if (before == (_state, _call.IsReading) && (at == from || at == work.Length)) return at;
        }
    }

    private int ReadStart(ReadOnlySpan<byte> work, int at, ScanEnd end, PieceList pieces)
    {
        int tag = at;
        while (tag < work.Length && work[tag] is (byte)'\n' or (byte)'\r') tag++;
        if (tag > at && _choice.ThinkingSeen)
        {
            pieces.Text(Kind, work[at..tag]);
            return tag;
        }

        if (tag == work.Length && end == ScanEnd.Open && tag - at <= MaxNewlinesBefore) return at;
        int length = 0;
        Match match = tag - at > MaxNewlinesBefore || tag == work.Length ? Match.No : ThinkTag.Open(work[tag..], out length);
        if (match == Match.Maybe && end == ScanEnd.Open) return at;
        if (match == Match.Yes)
        {
            _choice.Note("think-open", length);
            pieces.Break();
            BeginThinking(hasTag: true);
            return tag + length;
        }

        if (tag < work.Length && _choice.BeginsThinking)
        {
            _choice.Note("think-assumed", 0);
            pieces.Break();
            Assumed = new PooledBytes(1024);
            BeginThinking(hasTag: false);
            return at;
        }

        _state = State.Answer;
        if (_choice.IsWhole && !_choice.ThinkingSeen) Unsettled = new PooledBytes(1024);
        return at;
    }

    private void BeginThinking(bool hasTag)
    {
        _state = State.Thinking;
        _code = default;
        _quotedOpenings = 0;
        _firstOfThinking = hasTag;
    }

    /// <summary>Answer, thinking and what follows them: text with tags in it.</summary>
    private int ReadText(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        bool open = end == ScanEnd.Open;
        if (_firstOfThinking && !SkipFirstNewline(work, ref start, open)) return start;
        if (!IsThinking && Waiting is { IsOpen: true, Kind: PartKind.Reasoning })
        {
            bool isSpace = work[start..].Trim(" \t\r\n"u8).IsEmpty;
            _spaceWaits = isSpace && open;
            if (_spaceWaits) return start;
            if (isSpace && end == ScanEnd.Stopped) return work.Length;
            Waiting.SayAsText(pieces);
        }

        bool endsInLayout = IsThinking ? _hasTags : Unsettled is not null && Waiting.IsOpen;
        int at = start + _codeAhead;
        _codeAhead = 0;
        while (true)
        {
            int tag = _code.Advance(work, at);
            // The newline before a closing tag is layout, so the last one waits for what comes.
            int newline = endsInLayout ? NewlineAtEnd(work[start..tag]) : 0;
            if (tag == work.Length)
            {
                if (end == ScanEnd.NoRoom || (!open && (Assumed is not null || !IsThinking))) newline = 0;
                Say(work[start..(tag - newline)], pieces);
                if (!open) return tag;
                _codeAhead = newline;
                return tag - newline;
            }

            Sight sight = Look(work[tag..], end, out CallOpening opening, out int length);
            if (sight == Sight.Unclear && !open) sight = Sight.Text;
            switch (sight)
            {
                case Sight.Unclear:
                    Say(work[start..(tag - newline)], pieces);
                    _codeAhead = newline;
                    return tag - newline;
                case Sight.Call:
                    Say(work[start..tag], pieces);
                    BeginCall(opening, work.Slice(tag, length), pieces);
                    return tag + length;
                case Sight.ThinkClose:
                    Say(work[start..(tag - newline)], pieces);
                    CloseThinking(length, pieces);
                    return tag + length;
                case Sight.ThinkMention:
                    Say(work[start..tag], pieces);
                    _state = State.Passing;
                    Settle();
                    start = tag;
                    break;
            }

            _code.Take((byte)'<');
            at = tag + 1;
        }
    }

    private void CloseThinking(int length, PieceList pieces)
    {
        pieces.Break();
        bool alone = !IsThinking;
        if (alone) _choice.Note("think-close-alone", length);
        if ((alone && _saidWords) || Assumed is not null) _choice.LoneClose = LoneClose.Seen;
        if (Unsettled is { } thoughts)
        {
            pieces.Withdraw();
            int newline = Waiting.IsOpen ? 0 : NewlineAtEnd(thoughts.Span);
            pieces.Text(PartKind.Reasoning, thoughts.Span[..^newline]);
            Waiting.Kind = PartKind.Reasoning;
            Settle();
        }

        Assumed?.Dispose();
        Assumed = null;
        _state = State.AfterThinking;
        _newlines = 0;
        _code = default;
    }

    private int SkipNewlines(ReadOnlySpan<byte> work, int at, PieceList pieces)
    {
        pieces.Break();
        while (at < work.Length && _newlines < MaxNewlinesAfter && work[at] is (byte)'\n' or (byte)'\r')
        {
            if (work[at++] == '\n') _newlines++;
        }

        if (at < work.Length || _newlines == MaxNewlinesAfter) _state = State.Passing;
        return at;
    }

    private bool SkipFirstNewline(ReadOnlySpan<byte> work, ref int at, bool open)
    {
        if (at == work.Length) return !open;
        if (work[at] == '\r' && at + 1 == work.Length && open) return false;
        _firstOfThinking = false;
        if (work[at..].StartsWith("\r\n"u8)) at += 2;
        else if (work[at] == '\n') at++;
        return true;
    }

    private void Say(ReadOnlySpan<byte> text, PieceList pieces)
    {
        if (text.IsEmpty) return;
        _saidWords |= !text.Trim(" \t\r\n"u8).IsEmpty;
        Assumed?.Write(text);
        if (Waiting.IsOpen)
        {
            Waiting.Text(text, pieces);
            return;
        }

        Unsettled?.Write(text);
        pieces.Text(IsThinking ? PartKind.Reasoning : Kind, text);
    }

    /// <summary>The channel ends: what waited is decided.</summary>
    private void EndText(ScanEnd end, PieceList pieces)
    {
        if (_call.IsReading)
        {
            _call.End(end, Waiting.IsOpen ? Waiting.Parsed : pieces);
            NoteCallEnd();
        }

        _code = default;
        if (Assumed is { } given) GiveBack(given, end, pieces);
        if (Waiting.IsOpen && (Waiting.Kind == PartKind.Content || end == ScanEnd.Stopped)) Waiting.SayCalls(pieces, _choice.Calls, Kind);
        else if (Waiting.IsOpen) Waiting.SayAsText(pieces);
    }

    /// <summary>Nothing closed what was taken for thinking: it was the answer, and is said as such.</summary>
    private void GiveBack(PooledBytes given, ScanEnd end, PieceList pieces)
    {
        _choice.Note("think-not-closed", given.Length);
        if (end != ScanEnd.Cut) _choice.LoneClose = LoneClose.Missing;
        Assumed = null;
        Waiting.Close();
        _state = State.Passing;
        ReadAll(given.Span, end, pieces);
        if (_call.IsReading)
        {
            _call.End(end, pieces);
            NoteCallEnd();
        }

        given.Dispose();
    }

    private static int NewlineAtEnd(ReadOnlySpan<byte> text) => text.EndsWith("\r"u8) ? 1 : TagMatch.NewlineAtEnd(text);
}
