using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>Upstream's frames about an item's beginning and end, which wait until it is known what became of its text.</summary>
internal sealed partial class ResponsesEncoder
{
    private bool HoldsOpening => _held > 0 && _heldFrames[0].Frame.Step is FrameStep.Open or FrameStep.OpenPart;

    private void Hold(ChatEvent e, OutputItem item)
    {
        bool opening = e.Frame.Step is FrameStep.Open or FrameStep.OpenPart;
        if (_holder != item || opening != HoldsOpening) Settle();
        if (_held == _heldFrames.Count) _heldFrames.Add(ChatEvent.Rent());
        _heldFrames[_held++].CopyFrom(e);
        _holder = item;
    }

    /// <summary>Nothing is left of what the item said, and nobody was told of it yet.</summary>
    private bool IsLost(OutputItem item) => _holder == item && HoldsOpening && item is { IsEdited: true, Inside.Length: 0, EarlierParts.Count: 0 };

    private void Forget(OutputItem item)
    {
        _held = 0;
        _holder = null;
        _items.Remove(item);
        item.Dispose();
        _events.Forget();
        _differs = true;
        _line.Renumber();
    }

    /// <summary>The item is about to say something: what announced it goes first.</summary>
    private void SettleBefore(OutputItem item, bool inOwnWords = false)
    {
        _differs |= inOwnWords && item.IsPassed;
        if (_holder != item || HoldsOpening) Settle();
    }

    /// <summary>Another item begins while frames wait: an end that is whole goes out, half of one is left to us, and an item that said nothing is none.</summary>
    private void LeaveHeld()
    {
        if (_held == 0) return;
        if (HoldsOpening && _holder is { Inside.Length: 0, EarlierParts.Count: 0 } silent)
        {
            Forget(silent);
            return;
        }

        if (!HoldsOpening && _heldFrames[_held - 1].Frame.Step != FrameStep.Close) _held = 0;
        Settle();
    }

    /// <summary>Passes on the frames that wait, with the item's text as it was sent.</summary>
    private void Settle()
    {
        for (int i = 0; i < _held; i++)
        {
            ChatEvent e = _heldFrames[i];
            NumberItem(e, _holder);
            if (_holder!.IsEdited) EditTexts(e, _holder);
            if (e.Frame.Step == FrameStep.Close) CloseWith(e, _holder);
            _line.Pass(e, _edits);
        }

        _held = 0;
        _holder = null;
    }

    private void CloseWith(ChatEvent e, OutputItem item)
    {
        using PooledBytes json = new(e.Data.Length + Math.Max(0, _edits.Growth));
        _edits.WriteTo(e.Data.Span, json);
        item.Json = JsonScanner.Find(json.Span, "item"u8).In(json.Span).ToArray();
        item.Closed = true;
        item.Source = -1;
    }

    private void EditTexts(ChatEvent e, OutputItem item)
    {
        ReadOnlySpan<byte> data = e.Data.Span;
        if (e.Frame.Step == FrameStep.Close) EditItem(data, e.Frame.Subject, item);
        else if (e.Frame.Step == FrameStep.Recap)
        {
            EditText(data, new ByteRange(0, data.Length), item.Inside.Span);
            ByteRange part = JsonScanner.Find(data, "part"u8);
            if (!part.IsEmpty) EditText(data, part, item.Inside.Span);
        }
    }

    private void EditItem(ReadOnlySpan<byte> data, ByteRange place, OutputItem item)
    {
        if (item.Kind == OutputKind.Call)
        {
            EditText(data, place, item.Inside.Span);
            return;
        }

        JsonScanner members = new(data[..place.End], place.Start);
        while (members.MoveNext())
        {
            if ((!members.NameIs("content"u8) && !members.NameIs("summary"u8)) || data[members.Value.Start] != '[') continue;
            int number = 0;
            JsonScanner parts = new(data[..members.Value.End], members.Value.Start);
            while (parts.MoveNext())
            {
                EditText(data, parts.Value, number < item.EarlierParts.Count ? item.EarlierParts[number] : item.Inside.Span);
                number++;
            }
        }
    }

    private void EditText(ReadOnlySpan<byte> data, ByteRange place, ReadOnlySpan<byte> inside)
    {
        if (data[place.Start] != '{') return;
        JsonScanner members = new(data[..place.End], place.Start);
        while (members.MoveNext())
        {
            if (members.NameIs("text"u8) || members.NameIs("arguments"u8)) _edits.Replace(members.Value, (byte[])[(byte)'"', .. inside, (byte)'"']);
        }
    }
}
