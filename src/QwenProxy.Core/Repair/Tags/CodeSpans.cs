using System.Buffers;

namespace QwenProxy.Core.Repair.Tags;

/// <summary>
/// Follows Markdown code in a streamed text: fences, spans in backticks, lines indented by four. A tag inside code is quoted, not meant.
/// It leans to "code": a call left as text can be read, a call made from a quotation would be executed.
/// </summary>
internal struct CodeSpans
{
    private static readonly SearchValues<byte> Marks = SearchValues.Create("`~\n<"u8);

    private byte _fenceMark;
    private int _fenceLength;
    private int _inlineLength;
    private byte _runMark;
    private int _runLength;
    private bool _runAtLineStart;
    private bool _textOnLine;
    private bool _lineHadMark;
    private int _indent;
    private bool _quotedTag;
    private byte _previous;
    private bool _looseOpen;
    private bool _looseCode;

    public readonly byte Previous => _previous;

    /// <summary>Nothing but white space stands before on this line.</summary>
    public readonly bool AtLineStart => !_textOnLine && !_lineHadMark;

    /// <summary>True when a tag that began here would be code.</summary>
    public readonly bool InCode => (_fenceLength > 0 && !ClosesFence) || OpensFence || InInline || (!_textOnLine && _indent >= 4);

    /// <summary>True right behind a quotation mark.</summary>
    public readonly bool BehindQuote => _previous is (byte)'"' or (byte)'\'';

    /// <summary>True when a call that began here would be quoted: then also in what may be a fence behind other words.</summary>
    public readonly bool QuotesHere => InCode || BehindQuote || _looseCode;

    private readonly bool ClosesFence => _runAtLineStart && _runMark == _fenceMark && _runLength >= _fenceLength;

    private readonly bool OpensFence => _fenceLength == 0 && _runAtLineStart && _runLength >= 3;

    // A run that is still growing counts as what it would be if it ended here.
    private readonly bool InInline => _runMark == '`' && _runLength > 0 ? _runLength != _inlineLength : _inlineLength > 0;

    /// <summary>Walks on from <paramref name="at"/> to the next '&lt;' and returns its place, or the text's length. The '&lt;' itself is not
    /// taken.</summary>
    public int Advance(ReadOnlySpan<byte> text, int at)
    {
        while (at < text.Length)
        {
            int offset = text[at..].IndexOfAny(Marks);
            int end = offset < 0 ? text.Length : at + offset;
            if (end > at) TakePlain(text[at..end]);
            if (end == text.Length) return end;
            if (text[end] == '<') return end;
            Take(text[end]);
            at = end + 1;
        }

        return at;
    }

    /// <summary>Takes one byte, of any kind.</summary>
    public void Take(byte value)
    {
        if (value is (byte)'`' or (byte)'~')
        {
            if (_runLength > 0 && _runMark != value) EndRun(value);
            if (_runLength == 0) _runAtLineStart = !_textOnLine;
            _runMark = value;
            _runLength++;
            _textOnLine = true;
        }
        else
        {
            EndRun(value);
            if (value == '\n') EndLine();
            else if (value == '<')
            {
                _quotedTag |= _inlineLength > 0;
                _textOnLine = true;
            }
            else TakeIndent(value);
        }

        _previous = value;
    }

    private void TakePlain(ReadOnlySpan<byte> text)
    {
        EndRun(text[0]);
        for (int i = 0; i < text.Length && !_textOnLine; i++) TakeIndent(text[i]);
        _previous = text[^1];
    }

    /// <summary>Spaces, quote and list marks may stand before a fence.</summary>
    private void TakeIndent(byte value)
    {
        if (_textOnLine) return;
        if (value is (byte)' ' or (byte)'\t') _indent += _lineHadMark ? 0 : value == '\t' ? 4 : 1;
        else if (">-*+.)0123456789"u8.Contains(value)) _lineHadMark = true;
        else if (value != '\r') _textOnLine = true;
    }

    private void EndRun(byte next)
    {
        if (_runLength == 0) return;
        if (_fenceLength > 0)
        {
            if (ClosesFence) _fenceLength = 0;
        }
        else if (_looseOpen && OpensFence && next is (byte)'\n' or (byte)'\r' or (byte)' ') _looseOpen = _looseCode = false;
        else if (OpensFence)
        {
            _looseOpen = _looseCode = false;
            _fenceMark = _runMark;
            _fenceLength = _runLength;
            _inlineLength = 0;
        }
        else if (_runMark == '`')
        {
            if (_inlineLength == 0) _inlineLength = _runLength;
            else if (_inlineLength == _runLength) EndInline();
        }

        _runLength = 0;
        _runAtLineStart = false;
    }

    private void EndInline()
    {
        _inlineLength = 0;
        _quotedTag = false;
    }

    /// <summary>Backticks that are never closed must not hide the rest of the answer: they end with their line, or, once they quoted a tag,
    /// with its paragraph. Three of them behind other words open no fence; they may still be meant as one, so that a bare fence behind them closes it
    /// and calls up to the next blank line stay text.</summary>
    private void EndLine()
    {
        if (_inlineLength >= 3 && _fenceLength == 0)
        {
            _looseOpen = _looseCode = true;
            EndInline();
        }

        bool blank = !_textOnLine && !_lineHadMark;
        if (blank || !_quotedTag) EndInline();
        if (blank) _looseCode = false;
        _textOnLine = _lineHadMark = false;
        _indent = 0;
    }
}
