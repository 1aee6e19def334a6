using QwenProxy.Core.Events;

namespace QwenProxy.Core.Resume;

/// <summary>How far one choice of a new stream has repeated what the client has of it.</summary>
internal sealed class ChoiceReplay
{
    /// <summary>
    /// An upstream that repeats the prefix it was given is only believed when all of it comes again and it is this long: a model may well go
    /// on with the words it has just said.
    /// </summary>
    private const int LeastProvableEchoBytes = 64;

    private readonly SentChoice _sent;
    private readonly int _contentLength;
    private readonly int _reasoningLength;
    private readonly int[] _callLengths;
    private readonly int[] _callDone;
    private readonly List<int> _newCalls = [];
    private readonly bool _wasFinished;
    private readonly bool _textBegun;
    private readonly int _nextIndex;
    private int _contentDone;
    private int _reasoningDone;
    private bool _reasoningAstray;
    private bool _newWords;
    private bool _mayEcho;
    private int _echoed;

    public ChoiceReplay(SentChoice sent, ResumeWay way)
    {
        // The record grows with what this stream passes on, so what there was to repeat is measured now.
        _sent = sent;
        _contentLength = sent.Content.Length;
        _reasoningLength = sent.Reasoning.Length;
        _callLengths = [.. sent.Calls.Select(c => c.Arguments.Length)];
        _callDone = new int[_callLengths.Length];
        _wasFinished = sent.Finished;
        _textBegun = sent.TextBegun;
        _nextIndex = sent.Calls.Count == 0 ? 0 : sent.Calls.Max(c => c.Index) + 1;
        RoleSent = sent.RoleSent;
        if (way != ResumeWay.Prefill) return;
        _contentDone = _contentLength;
        // With a call begun any other text before it would be out of place, so there a short echo is proof enough.
        _mayEcho = _contentLength >= LeastProvableEchoBytes || (_contentLength > 0 && _callLengths.Length > 0);
    }

    public bool RoleSent { get; }

    public int RepeatedBytes { get; private set; }

    public bool IsCaughtUp => _wasFinished || (_contentDone == _contentLength && CallsDone && (_textBegun || ReasoningOver) && _echoed == 0);

    /// <summary>Text waits here that may be an echo of the prefix.</summary>
    public bool IsHolding => _echoed > 0;

    private bool CallsDone => _newCalls.Count >= _callLengths.Length && _callDone.AsSpan().SequenceEqual(_callLengths);

    private bool ReasoningOver => _reasoningAstray || _newWords || _reasoningDone == _reasoningLength;

    private string Channel(string name) => $"{_sent.Index}/{name}";

    /// <summary>Takes one part: leaves it, shortens it or removes it. Returns the channel when it does not fit.</summary>
    public string? Take(ChatEvent e, int i)
    {
        PartKind kind = e.Parts[i].Kind;
        if (_wasFinished)
        {
            // Its finish reason went out: nothing may follow.
            e.Remove(i);
            return null;
        }

        return kind switch
        {
            PartKind.Reasoning => TakeReasoning(e, i),
            PartKind.Content => _mayEcho ? TakeEcho(e, i) : TakeContent(e, i),
            PartKind.ToolCall => TakeCall(e, i),
            PartKind.Finish when _contentDone < _contentLength => Channel("content"),
            PartKind.Finish when !CallsDone => Channel("tool"),
            _ => null,
        };
    }

    /// <summary>A call or a finish ends the doubt about an echo: what was held was the continuation after all.</summary>
    public void FlushBeforeOthers(ChatEvent e)
    {
        if (_echoed == 0) return;
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Removed || part.Choice != _sent.Index || part.Kind is not (PartKind.Finish or PartKind.ToolCall)) continue;
            FlushHeld(e, PartPlace.Before);
            return;
        }
    }

    public bool FlushHeld(ChatEvent e, PartPlace place = PartPlace.After)
    {
        if (_echoed == 0) return false;
        e.Add(place, PartKind.Content, _sent.Index, _sent.Content[.._echoed].ToArray());
        _echoed = 0;
        _mayEcho = false;
        _newWords = true;
        return true;
    }

    private string? TakeReasoning(ChatEvent e, int i)
    {
        ReadOnlySpan<byte> text = e.Text(e.Parts[i]);
        if (_newWords || text.IsEmpty) return null;
        if (_textBegun || _reasoningAstray)
        {
            e.Remove(i);
            return null;
        }

        int left = _reasoningLength - _reasoningDone;
        if (left == 0) return null;
        int same = text.CommonPrefixLength(_sent.Reasoning.Slice(_reasoningDone, left));
        _reasoningDone += same;
        if (same == left && same < text.Length) e.SetText(i, text[same..].ToArray());
        else
        {
            _reasoningAstray = same < text.Length;
            e.Remove(i);
        }

        RepeatedBytes += same;
        return null;
    }

    private string? TakeContent(ChatEvent e, int i)
    {
        ReadOnlySpan<byte> text = e.Text(e.Parts[i]);
        int left = _contentLength - _contentDone;
        int same = text.CommonPrefixLength(_sent.Content.Slice(_contentDone, left));
        if (same < left && same < text.Length) return Channel("content");
        // The client has calls that follow this text: more of it now would stand in the wrong place.
        if (same < text.Length && !CallsDone) return Channel("content");
        _contentDone += same;
        RepeatedBytes += same;
        if (same == text.Length)
        {
            if (same > 0) e.Remove(i);
            return null;
        }

        if (same > 0) e.SetText(i, text[same..].ToArray());
        _newWords = true;
        return null;
    }

    /// <summary>After a prefill: while new text repeats the prefix from its start it waits; all of it repeated, it goes; else it is let go.</summary>
    private string? TakeEcho(ChatEvent e, int i)
    {
        ReadOnlySpan<byte> text = e.Text(e.Parts[i]);
        int left = _contentLength - _echoed;
        int same = text.CommonPrefixLength(_sent.Content.Slice(_echoed, left));
        if (same == text.Length && same < left)
        {
            _echoed += same;
            e.Remove(i);
            return null;
        }

        _mayEcho = false;
        if (same == left)
        {
            RepeatedBytes += _contentLength;
            if (same == text.Length) e.Remove(i);
            else e.SetText(i, text[same..].ToArray());
            _newWords |= same < text.Length;
        }
        else if (!CallsDone)
        {
            return Channel("content");
        }
        else
        {
            byte[] held = [.. _sent.Content[.._echoed], .. text];
            e.SetText(i, held);
            _newWords = true;
        }

        _echoed = 0;
        return null;
    }

    private string? TakeCall(ChatEvent e, int i)
    {
        if (_contentDone < _contentLength || (_echoed > 0 && !CallsDone)) return Channel("content");
        // Text after a call is no echo. What is held now is let go before this event.
        if (_echoed == 0) _mayEcho = false;
        EventPart part = e.Parts[i];
        (int index, string id, string name) = CallHead.Read(e, part);
        int call = index >= 0 ? _newCalls.IndexOf(index) : id.Length > 0 ? -1 : _newCalls.Count - 1;
        bool begins = call < 0;
        if (begins)
        {
            call = _newCalls.Count;
            _newCalls.Add(index >= 0 ? index : call);
            // Calls that came side by side come so again: one that was sent too may begin before the last is repeated, a new one may not.
            if (call == _callLengths.Length && !CallsRepeated(except: -1)) return Channel($"tool{call}");
        }

        if (call < _callLengths.Length) return TakeSentCall(e, i, call, name);
        int clientIndex = _nextIndex + call - _callLengths.Length;
        if (index != clientIndex)
        {
            e.Parts[i].NewToolIndex = clientIndex;
            e.MarkEdited();
        }

        _newWords = true;
        return null;
    }

    private bool CallsRepeated(int except)
    {
        for (int i = 0; i < _callLengths.Length; i++)
        {
            if (i != except && _callDone[i] < _callLengths[i]) return false;
        }

        return true;
    }

    /// <summary>A call the client has the beginning of: it keeps the id and name it has, and gets the arguments that are left.</summary>
    private string? TakeSentCall(ChatEvent e, int i, int call, string name)
    {
        SentCall sent = _sent.Calls[call];
        if (name.Length > 0 && sent.Name.Length > 0 && name != sent.Name) return Channel($"tool{call}");
        ReadOnlySpan<byte> text = e.Text(e.Parts[i]);
        int left = _callLengths[call] - _callDone[call];
        int same = text.CommonPrefixLength(sent.Arguments.Slice(_callDone[call], left));
        if (same < left && same < text.Length) return Channel($"tool{call}");
        // New words of one call are shown only when what was sent of all others has come again.
        if (same < text.Length && !CallsRepeated(except: call)) return Channel($"tool{call}");
        _callDone[call] += same;
        RepeatedBytes += same;
        bool nameIsNew = name.Length > 0 && sent.Name.Length == 0;
        if (same == text.Length && !nameIsNew)
        {
            e.Remove(i);
            return null;
        }

        e.SetText(i, text[same..].ToArray());
        ref EventPart part = ref e.Parts[i];
        part.NewToolIndex = sent.Index;
        part.NewToolId = "";
        if (!nameIsNew) part.NewToolName = "";
        _newWords = true;
        return null;
    }
}
