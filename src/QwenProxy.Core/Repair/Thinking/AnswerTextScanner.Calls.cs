using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;

namespace QwenProxy.Core.Repair.Thinking;

/// <content>The inside of calls.</content>
internal sealed partial class AnswerTextScanner
{
    private void BeginCall(in CallOpening opening, ReadOnlySpan<byte> raw, PieceList pieces)
    {
        pieces.Break();
        if (!IsThinking && Unsettled is null)
        {
            _call.Begin(opening, _choice.Calls.Start(pieces, Kind, opening.Name, opening.Form, opening.Length), pieces);
            return;
        }

        if (!Waiting.IsOpen) Waiting.Open(IsThinking ? PartKind.Reasoning : PartKind.Content);
        _call.Begin(opening, Waiting.StartCall(opening), Waiting.Parsed);
        KeepCallText(raw, pieces);
    }

    private int ReadCall(ReadOnlySpan<byte> work, int start, ScanEnd end, PieceList pieces)
    {
        PieceList into = Waiting.IsOpen ? Waiting.Parsed : pieces;
        bool mayEndThinking = Waiting.IsOpen && _hasTags && _call.InArguments;
        int limit = mayEndThinking ? ThinkingEnd(work, start, end) : work.Length;
        bool isLimited = limit < work.Length;
        int at = _call.Read(work[..limit], start, isLimited ? ScanEnd.Open : end, into);
        if (isLimited && end != ScanEnd.Open && _call.InArguments)
        {
            _call.Read(work[..limit], at, ScanEnd.Stopped, into);
            _call.End(ScanEnd.Stopped, into);
            at = limit;
        }

        if (Waiting.IsOpen) KeepCallText(work[start..at], pieces);
        if (!_call.IsReading) NoteCallEnd();
        return at;
    }

    /// <summary>
    /// Where thinking may end although a call in it is open. The call's own end tells: with one behind the tag, the tag was text of the call; without
    /// one the call was never finished, and the tag is what it looks like.
    /// </summary>
    private static int ThinkingEnd(ReadOnlySpan<byte> work, int start, ScanEnd end)
    {
        int close = ThinkTag.FindClose(work, start, end == ScanEnd.Open);
        for (int at = close; at < work.Length; at++)
        {
            int offset = work[at..].IndexOf("</"u8);
            if (offset < 0) break;
            at += offset;
            if (CallTags.AnyEnd(work[at..], out _) == Match.Yes) return work.Length;
        }

        return close;
    }

    private void KeepCallText(ReadOnlySpan<byte> raw, PieceList pieces)
    {
        Waiting.Raw(raw, pieces);
        Assumed?.Write(raw);
    }

    private void NoteCallEnd()
    {
        if (Waiting.IsOpen) Waiting.IsIncomplete |= _call.IsIncomplete;
        else _choice.Calls.Incomplete |= _call.IsIncomplete;
        _code = default;
    }
}
