using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Events of an upstream that speaks Messages itself. A frame nobody edited goes out as it came, one with other words or another number with only
/// those changed. Words that fit no block of upstream's are said in blocks of this sequence's own making, between the others.
/// </summary>
internal sealed partial class BlockSequence
{
    private const int NoBlock = int.MinValue;

    /// <summary>The upstream block whose thinking the client does not want to see.</summary>
    private int _unshown = NoBlock;
    private bool _endPassed;
    private bool _ended;

    private void Pass(ChatEvent e)
    {
        if (e.Kind == EventKind.Silent) writer.PassIdle(e);
        else if (e.Kind == EventKind.Done) PassLast(e);
        if (e.Kind != EventKind.Chunk) return;
        bool starts = e.Frame.Step == FrameStep.Start && !e.IsEnvelope;
        if (!_started && starts)
        {
            _started = true;
            writer.PassStart(e);
        }
        else if (!_started) Start(default, default);

        NoteUsage(e);
        if (e.Edited) SayAll(e, PartPlace.Before);
        if (!e.IsEnvelope && !starts) PassOriginal(e);
        if (e.Edited) SayAll(e, PartPlace.After);
    }

    private void PassOriginal(ChatEvent e)
    {
        switch (e.Frame.Step)
        {
            case FrameStep.Open:
                PassOpen(e);
                break;
            case FrameStep.Delta:
                PassDelta(e);
                break;
            case FrameStep.Close:
                PassClose(e);
                break;
            case FrameStep.End:
                PassEnd(e);
                break;
            default:
                writer.PassIdle(e);
                break;
        }
    }

    private void PassOpen(ChatEvent e)
    {
        BlockKind kind = e.Frame.Block switch
        {
            FrameBlock.Text => BlockKind.Text,
            FrameBlock.Thinking => BlockKind.Thinking,
            FrameBlock.Call => BlockKind.ToolUse,
            _ => BlockKind.Other,
        };
        _unshown = kind == BlockKind.Thinking && options.Display == ThinkingDisplay.Hidden ? e.Frame.Index : NoBlock;
        int at = Original(e);
        bool interleaved = _waiting.Count > 0 || (!_open.CanClose && !_open.HasEnded);
        if (interleaved || _unshown != NoBlock || (at >= 0 && !IsUntouched(e.Parts[at])))
        {
            // A call that is not whole goes on between the pieces of this one; or a stage renamed the call, took it out or changed the first words.
            SayAll(e, PartPlace.Original);
            return;
        }

        CloseAll();
        if (at < 0)
        {
            _open.Pass(e, kind, 0, "");
            return;
        }

        EventPart part = e.Parts[at];
        int key = part.NewToolIndex ?? part.ToolIndex;
        _open.Pass(e, kind, key, kind == BlockKind.ToolUse ? e.PlainString(part.ToolId) : "");
        _open.HasSpoken = kind != BlockKind.ToolUse || part.ToolArguments.Length > 0;
        if (kind != BlockKind.ToolUse) return;
        _hasCalls = true;
        _lastKey = key;
        _doneKeys.Remove(key);
    }

    private void PassDelta(ChatEvent e)
    {
        int at = Original(e);
        if (at < 0)
        {
            // About a block rather than of it: a signature, a citation. It holds only for the words it came with.
            if (_open.IsOpen && _open.Source == e.Frame.Index && !_open.IsMixed && e.Frame.Index != _unshown) writer.PassDelta(e);
            return;
        }

        EventPart part = e.Parts[at];
        if (part.Removed || (part.HasNewText && part.NewText.IsEmpty))
        {
            if (_open.IsOpen && _open.Source == e.Frame.Index) _open.HasLost = true;
            return;
        }

        if (_open is { IsOpen: true, HasEnded: true } && e.Text(part).IsEmpty) return;
        if (!Fits(part)) SayAll(e, PartPlace.Original);
        else if (part.Kind == PartKind.Reasoning && options.Display != ThinkingDisplay.Shown)
        {
            _open.Feed(e.Frame.Index);
            _open.CountUnshown(e.Text(part).Length);
        }
        else _open.PassDelta(e, part.Kind == PartKind.ToolCall ? e.Text(part) : default);
    }

    private void PassClose(ChatEvent e)
    {
        // A stream that goes on where another broke off ends the block as well.
        if (!_open.IsOpen || !_open.IsPassed || _open.HasEnded || _open.Source != e.Frame.Index) return;
        if (_open.HasLost && !_open.HasSpoken) _open.Forget();
        else
        {
            _open.HasEnded = true;
            writer.PassClose(e);
        }
    }

    private void PassEnd(ChatEvent e)
    {
        int at = Original(e);
        if (at < 0 || e.Parts[at].Removed)
        {
            // Only counts, told once more on the way.
            if (at < 0) writer.PassIdle(e);
            return;
        }

        NoteFinish(e, e.Parts[at]);
        CloseAll();
        (string reason, _) = StopReason();
        bool calls = reason == "tool_use" && !e.Plain(e.Parts[at].Value).SequenceEqual("tool_use"u8);
        writer.PassEnd(e, calls || e.Parts[at].HasNewText ? reason : null, _usage ?? default);
        _endPassed = true;
    }

    private void PassLast(ChatEvent e)
    {
        if (!_endPassed || _ended) return;
        _ended = true;
        writer.EndPassed(e);
    }

    /// <summary>The words belong into the block that is open.</summary>
    private bool Fits(in EventPart part)
    {
        if (_waiting.Count > 0 || part.NewToolId is { Length: > 0 } || part.NewToolName is { Length: > 0 }) return false;
        return part.Kind switch
        {
            PartKind.Content => _open.Is(BlockKind.Text, 0),
            PartKind.Reasoning => _open.Is(BlockKind.Thinking, 0) && _open.IsPassed,
            PartKind.ToolCall => _open.Is(BlockKind.ToolUse, part.NewToolIndex ?? part.ToolIndex),
            _ => false,
        };
    }

    private static bool IsUntouched(in EventPart part) => !part.Removed && !part.HasNewText && part.NewToolId is null && part.NewToolName is null;

    /// <summary>The one part that came in the frame; -1 for a frame that says nothing of an answer.</summary>
    private static int Original(ChatEvent e)
    {
        Span<EventPart> parts = e.Parts;
        for (int i = 0; i < parts.Length; i++)
        {
            if (parts[i].Place == PartPlace.Original && parts[i].Kind != PartKind.Role) return i;
        }

        return -1;
    }

    private void CloseAll()
    {
        CloseOpen();
        while (_waiting.Count > 0)
        {
            OpenWaiting();
            CloseOpen();
        }
    }
}
