using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Events of an upstream that speaks Responses itself. A frame nobody edited goes out as it came, one with other words or numbers with only those
/// changed. This API says every text again at the end of its part, of its item and of the response: once a text was changed, so are those.
/// </summary>
internal sealed partial class ResponsesEncoder
{
    private readonly JsonSplice _edits = new();

    /// <summary>
    /// Frames that wait: those that announce an item, until it says something, so that an item in which nothing is left to say need not be shown; or
    /// those that end it, until another begins, since a stage may still have something to say in it.
    /// </summary>
    private readonly List<ChatEvent> _heldFrames = [];
    private int _held;
    private OutputItem? _holder;

    /// <summary>The items are not upstream's any more: some were left out, changed or added.</summary>
    private bool _differs;

    /// <summary>Another stream goes on with the response: what it says of its own items is not about the ones that are open here.</summary>
    public void Continue()
    {
        // Upstream ended the item before it broke, not the model: what goes on may have more to say in it.
        bool unfinished = _holder is { Kind: OutputKind.Message } || (_holder is { Kind: OutputKind.Call } call && !call.HasWholeArguments());
        FrameStep last = _held > 0 ? _heldFrames[_held - 1].Frame.Step : FrameStep.Start;
        if (last == FrameStep.Recap || (last == FrameStep.Close && unfinished)) _held = 0;
        Settle();
        _differs = true;
        _line.Renumber();
        foreach (OutputItem item in _items) item.Source = -1;
    }

    private void Pass(ChatEvent e)
    {
        if (e.Kind == EventKind.Silent && !_ended) _line.PassIdle(e);
        if (_ended || e.Kind != EventKind.Chunk) return;
        TakeModel(e);
        bool starts = e.Frame.Step == FrameStep.Start && !e.IsEnvelope;
        if (starts) PassStart(e);
        else Begin();
        TakeUsage(e);
        if (e.Edited) Say(e, PartPlace.Before);
        if (!starts && !e.IsEnvelope) PassOriginal(e);
        if (e.Edited && !_ended) Say(e, PartPlace.After);
    }

    private void PassStart(ChatEvent e)
    {
        string id = e.PlainString(e.Id);
        if (!_begun && id.Length > 0)
        {
            _begun = true;
            ResponseId = id;
            _head = e.Frame.Subject.In(e.Data.Span).ToArray();
        }

        if (IsPassed && id == ResponseId) PassFrame(e, null);
        else Begin();
    }

    private void PassOriginal(ChatEvent e)
    {
        if (e.Frame.Step == FrameStep.Open)
        {
            PassOpen(e);
            return;
        }

        if (e.Frame.Step == FrameStep.End)
        {
            PassEnd(e);
            return;
        }

        OutputItem? item = OpenFrom(e.Frame.Index);
        if (item is null)
        {
            // The item was taken over, or a stage said it otherwise.
            if (e.Frame.Index < 0) PassFrame(e, null);
            else Leave(e);
            return;
        }

        int at = Original(e);
        if (at >= 0 && !TakeText(e, at, item)) return;
        switch (e.Frame.Step)
        {
            case FrameStep.OpenPart:
                if (item.Inside.Length > 0)
                {
                    item.EarlierParts.Add(item.Inside.Span.ToArray());
                    item.Inside.Clear();
                }

                Hold(e, item);
                break;
            case FrameStep.Recap or FrameStep.Close when IsLost(item):
                Forget(item);
                break;
            case FrameStep.Recap or FrameStep.Close:
                Hold(e, item);
                break;
            default:
                SettleBefore(item);
                PassFrame(e, item, at);
                break;
        }
    }

    /// <summary>The open item that upstream's frames of this number speak of.</summary>
    private OutputItem? OpenFrom(int source)
    {
        for (int i = _items.Count - 1; i >= 0 && source >= 0; i--)
        {
            if (_items[i].Source == source && !_items[i].Closed) return _items[i];
        }

        return null;
    }

    private void PassOpen(ChatEvent e)
    {
        Settle();
        foreach (OutputItem own in _items)
        {
            if (own is { Closed: false, Source: < 0 } && (own.Kind != OutputKind.Call || (own.Announced && own.HasWholeArguments()))) _events.Close(own, false);
        }

        int at = Original(e);
        if (at >= 0 && (e.Parts[at].Removed || e.Parts[at].HasNewText || e.Parts[at].NewToolId is not null || e.Parts[at].NewToolName is not null))
        {
            Leave(e);
            return;
        }

        RawJson json = new(e.Data.Slice(e.Frame.Subject.Start, e.Frame.Subject.Length));
        OutputItem item = new(e.Frame.Block switch { FrameBlock.Text => OutputKind.Message, FrameBlock.Thinking => OutputKind.Reasoning, FrameBlock.Call => OutputKind.Call, _ => OutputKind.Other })
        {
            IsPassed = true,
            Source = e.Frame.Index,
            ToolIndex = at < 0 ? -1 : e.Parts[at].NewToolIndex ?? e.Parts[at].ToolIndex,
            CallId = json.Member("call_id"u8).Text(),
            Tool = new ToolTarget(null, json.Member("name"u8).Text(), ToolKind.Function),
            Json = json.Span.ToArray(),
        };
        item.Inside.Write(json.Member("arguments"u8).Inside);
        _events.Place(item, json.Member("id"u8).Text());
        _items.Add(item);
        if (item.Kind is OutputKind.Message or OutputKind.Reasoning) Hold(e, item);
        else PassFrame(e, item);
    }

    /// <summary>Notes what the frame says of the item's text. False when nothing of the frame is left to pass on.</summary>
    private bool TakeText(ChatEvent e, int at, OutputItem item)
    {
        EventPart part = e.Parts[at];
        bool recap = e.Frame.Step != FrameStep.Delta;
        if (part.Removed || (part.HasNewText && part.NewText.IsEmpty))
        {
            item.IsEdited = _differs = true;
            _line.Renumber();
            return recap;
        }

        item.IsEdited |= part.HasNewText;
        _differs |= part.HasNewText;
        ReadOnlySpan<byte> token = Token(e, part, part.Kind == PartKind.ToolCall ? part.ToolArguments : part.Value);
        if (token.Length > 2) item.Inside.Write(token[1..^1]);
        return true;
    }

    /// <summary>A frame of upstream's that is not passed on; what it says is said otherwise.</summary>
    private void Leave(ChatEvent e)
    {
        _differs = true;
        _line.Renumber();
        Say(e, PartPlace.Original);
    }

    /// <summary>Passes on a frame with the item's number here and the words of the part at <paramref name="at"/>.</summary>
    private void PassFrame(ChatEvent e, OutputItem? item, int at = -1)
    {
        NumberItem(e, item);
        if (at >= 0 && e.Parts[at].HasNewText)
        {
            EventPart part = e.Parts[at];
            ByteRange place = part.Kind == PartKind.ToolCall ? part.ToolArguments : part.Value;
            _edits.Replace(place, Token(e, part, place).ToArray());
        }

        _line.Pass(e, _edits);
    }

    private void NumberItem(ChatEvent e, OutputItem? item)
    {
        _edits.Clear();
        if (item is not null && item.Index != e.Frame.Index) _edits.Replace(e.Frame.IndexPlace, Encoding.ASCII.GetBytes(item.Index.ToString(CultureInfo.InvariantCulture)));
    }

    private static int Original(ChatEvent e)
    {
        Span<EventPart> parts = e.Parts;
        for (int i = 0; i < parts.Length; i++)
        {
            if (parts[i].Place == PartPlace.Original) return i;
        }

        return -1;
    }
}
