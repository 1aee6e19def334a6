namespace QwenProxy.Core.Events;

/// <summary>Events that nobody uses, to be used again: the shortest answer needs half a dozen of them, nearly a kilobyte each.</summary>
public sealed partial class ChatEvent
{
    private const int MostSpares = 64;

    [ThreadStatic]
    private static Stack<ChatEvent>? t_spares;

    private bool _isSpare;

    /// <summary>An empty event, with nothing of an earlier one but its memory. It is the caller's until <see cref="Dispose"/>.</summary>
    public static ChatEvent Rent()
    {
        if (t_spares is not { Count: > 0 } spares) return new ChatEvent();
        ChatEvent spare = spares.Pop();
        spare._isSpare = false;
        return spare;
    }

    public void Dispose()
    {
        if (_isSpare) return;
        _isSpare = true;
        Reset();
        // Whoever still holds it reads nothing, rather than another stream's words.
        Raw = Data = FrameId = default;
        _edits.Dispose();
        _scratch.Dispose();
        _copy?.Dispose();
        _shape?.Dispose();
        _shape = null;
        Stack<ChatEvent> spares = t_spares ??= new Stack<ChatEvent>();
        if (spares.Count < MostSpares) spares.Push(this);
    }
}
