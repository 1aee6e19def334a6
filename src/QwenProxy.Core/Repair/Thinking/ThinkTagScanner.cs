using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>Reads a choice's content and says which of it is thinking.</summary>
internal sealed class ThinkTagScanner(int choice, Action<string, int> note) : TagScanner(PartKind.Content, choice)
{
    private const int MaxNewlinesAfter = 2;
    private const int MaxNewlinesBefore = 4;

    private enum State
    {
        /// <summary>Nothing but newlines has come: a think tag would open the answer.</summary>
        Start,

        /// <summary>In the answer, where a closing tag without an opening one may still show that what came was thinking.</summary>
        Answer,
        Thinking,

        /// <summary>Behind a closing tag, where newlines are layout.</summary>
        AfterThinking,

        /// <summary>No tag is looked for any more.</summary>
        Passing,
    }

    private State _state;
    private CodeSpans _code;
    private int _newlines;
    private bool _firstOfThinking;

    public override bool InText => _state is State.Start or State.Answer or State.Passing;

    /// <inheritdoc/>
    /// <remarks>Inside thinking a last newline waits for the next event; nobody misses it meanwhile.</remarks>
    public override bool IsDoubtful => InText || Pending.Span.Contains((byte)'<');

    /// <summary>Thinking came in its own field: an answer's leading newline then opens nothing.</summary>
    public bool ThinkingSeen { get; set; }

    public override bool PassesWhole(ReadOnlySpan<byte> text)
    {
        if (_state == State.Passing) return true;
        if (_state != State.Answer || Pending.Length > 0 || text.IndexOf((byte)'<') >= 0) return false;
        _code.Advance(text, 0);
        return true;
    }

    public override int Scan(ReadOnlySpan<byte> work, ScanEnd end, PieceList pieces)
    {
        int at = 0;
        if (!InText) pieces.Break();
        while (true)
        {
            State state = _state;
            int from = at;
            at = state switch
            {
                State.Start => ReadStart(work, at, end, pieces),
                State.Answer => ReadAnswer(work, at, end, pieces),
                State.Thinking => ReadThinking(work, at, end, pieces),
                State.AfterThinking => SkipNewlines(work, at, pieces),
                _ => PassRest(work, at, pieces),
            };
            if (state == _state && (at == from || at == work.Length)) return at;
        }
    }

    private int ReadStart(ReadOnlySpan<byte> work, int at, ScanEnd end, PieceList pieces)
    {
        int tag = at;
        while (tag < work.Length && work[tag] is (byte)'\n' or (byte)'\r') tag++;
        if (tag > at && ThinkingSeen)
        {
            pieces.Text(Kind, work[at..tag]);
            return tag;
        }

        if (tag - at > MaxNewlinesBefore || (tag == work.Length && end != ScanEnd.Open))
        {
            _state = State.Answer;
            return at;
        }

        if (tag == work.Length) return at;
        Match match = OpenTag(work[tag..], out int length);
        if (match == Match.Maybe && end == ScanEnd.Open) return at;
        if (match != Match.Yes)
        {
            _state = State.Answer;
            return at;
        }

        note("think-open", length);
        pieces.Break();
        _state = State.Thinking;
        _code = default;
        _firstOfThinking = true;
        return tag + length;
    }

    private static Match OpenTag(ReadOnlySpan<byte> text, out int length)
    {
        length = "<think>"u8.Length;
        Match match = At(text, "<think>"u8);
        if (match != Match.No) return match;
        length = "<thinking>"u8.Length;
        return At(text, "<thinking>"u8);
    }

    private static Match CloseTag(ReadOnlySpan<byte> text, out int length)
    {
        length = "</think>"u8.Length;
        Match match = At(text, "</think>"u8);
        if (match != Match.No) return match;
        length = "</thinking>"u8.Length;
        return At(text, "</thinking>"u8);
    }

    private static Match At(ReadOnlySpan<byte> text, ReadOnlySpan<byte> tag)
    {
        if (text.StartsWith(tag)) return Match.Yes;
        return tag.StartsWith(text) ? Match.Maybe : Match.No;
    }

    /// <summary>The answer is told apart from thinking only by a closing tag that nothing opened; an opening tag in the middle is being talked
    /// about.</summary>
    private int ReadAnswer(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        int at = start;
        bool open = end == ScanEnd.Open;
        while (true)
        {
            int tag = _code.Advance(work, at);
            if (tag == work.Length)
            {
                pieces.Text(Kind, work[start..]);
                return tag;
            }

            Match close = _code.QuotesHere ? Match.No : CloseTag(work[tag..], out _);
            if (!_code.QuotesHere && close == Match.No) close = OpenTag(work[tag..], out _) == Match.Maybe ? Match.Maybe : Match.No;
            CloseTag(work[tag..], out int length);
            if (close == Match.Yes) close = IsMeant(work[(tag + length)..], end);
            if (close == Match.Maybe && open)
            {
                pieces.Text(Kind, work[start..tag]);
                return tag;
            }

            if (close == Match.Yes)
            {
                pieces.Text(Kind, work[start..tag]);
                note("think-close-alone", length);
                pieces.Break();
                EndThinking();
                return tag + length;
            }

            if (!_code.QuotesHere && OpenTag(work[tag..], out _) == Match.Yes)
            {
                pieces.Text(Kind, work[start..]);
                _state = State.Passing;
                return work.Length;
            }

            _code.Take((byte)'<');
            at = tag + 1;
        }
    }

    /// <summary>"the &lt;/think&gt; tag": between a space and a lower-case word or a comma, the tag is a word of a sentence.</summary>
    private Match IsMeant(ReadOnlySpan<byte> after, ScanEnd end)
    {
        if (_code.Previous is not ((byte)' ' or (byte)'(')) return Match.Yes;
        if (after.IsEmpty) return end == ScanEnd.Open ? Match.Maybe : Match.Yes;
        if (after[0] is (byte)',' or (byte)'.' or (byte)';' or (byte)':' or (byte)')' or (byte)'?' or (byte)'!') return Match.No;
        if (after[0] != ' ') return Match.Yes;
        if (after.Length == 1) return end == ScanEnd.Open ? Match.Maybe : Match.Yes;
        return char.IsAsciiLetterLower((char)after[1]) ? Match.No : Match.Yes;
    }

    private int ReadThinking(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        bool open = end == ScanEnd.Open;
        if (_firstOfThinking && start < work.Length)
        {
            if (work[start] == '\r' && start + 1 == work.Length && open) return start;
            _firstOfThinking = false;
            if (work[start..].StartsWith("\r\n"u8)) start += 2;
            else if (work[start] == '\n') start++;
        }

        int at = start;
        while (true)
        {
            int tag = _code.Advance(work, at);
            int newline = NewlineAtEnd(work[start..tag]);
            if (tag == work.Length)
            {
                // The newline before a closing tag is layout, so the last one waits for what comes.
                if (!open) newline = end == ScanEnd.NoRoom ? 0 : newline;
                SayThinking(work[start..(tag - newline)], pieces);
                return open ? tag - newline : tag;
            }

            Match close = CloseTag(work[tag..], out int length);
            if (close == Match.Yes) close = IsEnd(work[(tag + length)..], end);
            if (close == Match.Yes || (close == Match.Maybe && open)) SayThinking(work[start..(tag - newline)], pieces);
            if (close == Match.Maybe && open) return tag - newline;
            if (close == Match.Yes)
            {
                EndThinking();
                return tag + length;
            }

            _code.Take((byte)'<');
            at = tag + 1;
        }
    }

    /// <summary>A closing tag in a fence is quoted, unless it stands on its own line with a blank line behind it: then the fence was left
    /// open.</summary>
    private Match IsEnd(ReadOnlySpan<byte> after, ScanEnd end)
    {
        if (!_code.QuotesHere) return Match.Yes;
        if (!_code.InFence || !_code.AtLineStart) return Match.No;
        if (after.StartsWith("\n\n"u8)) return Match.Yes;
        if ("\n\n"u8.StartsWith(after)) return end == ScanEnd.Open ? Match.Maybe : after.IsEmpty ? Match.Yes : Match.No;
        return Match.No;
    }

    private void SayThinking(ReadOnlySpan<byte> text, PieceList pieces) => pieces.Text(PartKind.Reasoning, text);

    private void EndThinking()
    {
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

    private int PassRest(ReadOnlySpan<byte> work, int at, PieceList pieces)
    {
        pieces.Text(Kind, work[at..]);
        return work.Length;
    }

    private static int NewlineAtEnd(ReadOnlySpan<byte> text)
    {
        if (text.EndsWith("\r\n"u8)) return 2;
        return text.EndsWith("\n"u8) || text.EndsWith("\r"u8) ? 1 : 0;
    }

    private enum Match
    {
        No,
        Maybe,
        Yes,
    }
}
