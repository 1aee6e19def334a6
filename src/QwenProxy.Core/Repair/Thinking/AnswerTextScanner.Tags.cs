using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;

namespace QwenProxy.Core.Repair.Thinking;

/// <content>What a '&lt;' begins.</content>
internal sealed partial class AnswerTextScanner
{
    private enum Sight
    {
        Text,

        /// <summary>The text ends too early to tell.</summary>
        Unclear,
        Call,
        ThinkClose,

        /// <summary>An opening tag in the middle of an answer: tags are being talked about.</summary>
        ThinkMention,
    }

    private Sight Look(ReadOnlySpan<byte> text, ScanEnd end, out CallOpening opening, out int length)
    {
        opening = default;
        length = 0;
        Sight sight = Sight.Text;
        if (_choice.ReadsCalls && !_code.QuotesHere)
        {
            Match call = CallOpening.TryRead(text, _choice.Tools, end, out opening);
            length = opening.Length;
            if (call == Match.Yes) return Sight.Call;
            if (call == Match.Maybe) sight = Sight.Unclear;
        }

        if (!_hasTags || _state == State.Passing) return sight;
        Match match = ThinkTag.Close(text, out length);
        if (match == Match.Yes) match = IsThinking ? EndsThinking(text[length..], end) : ClosesAlone(text[length..], end);
        else if (match == Match.Maybe && _code.InCode && !(IsThinking && _code.AtLineStart)) match = Match.No;
        if (match == Match.Yes) return Sight.ThinkClose;
        if (match == Match.Maybe) return Sight.Unclear;
        if (_code.InCode) return sight;
        Match mention = ThinkTag.Open(text, out _);
        if (mention == Match.Maybe && (!IsThinking || _code.BehindQuote)) return Sight.Unclear;
        if (mention != Match.Yes) return sight;
        if (_code.BehindQuote) _quotedOpenings++;
        else if (!IsThinking) return Sight.ThinkMention;
        return sight;
    }

    /// <summary>A closing tag on a line of its own ends opened thinking whatever stands around it; elsewhere it may be quoted.</summary>
    private Match EndsThinking(ReadOnlySpan<byte> after, ScanEnd end)
    {
        bool mayQuote = _code.InCode || _code.BehindQuote || _quotedOpenings > 0;
        if (!mayQuote) return Match.Yes;
        if (_code.AtLineStart)
        {
            Match line = ThinkTag.EndsLine(after, end);
            if (line != Match.No) return line;
        }

        if (_code.InCode) return Match.No;
        if (_quotedOpenings > 0)
        {
            _quotedOpenings--;
            return Match.No;
        }

        if (after.IsEmpty) return end == ScanEnd.Open ? Match.Maybe : Match.Yes;
        return after[0] == _code.Previous ? Match.No : Match.Yes;
    }

    private Match ClosesAlone(ReadOnlySpan<byte> after, ScanEnd end)
    {
        if (_code.InCode) return Match.No;
        if (_quotedOpenings > 0)
        {
            Match line = _code.AtLineStart ? ThinkTag.EndsLine(after, end) : Match.No;
            if (line != Match.No) return line;
            _quotedOpenings--;
            return Match.No;
        }

        return ThinkTag.IsMeant(_code.Previous, after, end);
    }
}
