using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Lets a call's arguments through as they come, and keeps those that cannot be told yet: arguments of a call without a name, and arguments
/// that are a JSON string, until it closes and shows whether an object is in it.
/// </summary>
internal sealed class ArgumentsGate(RepairContext context, bool observes, Action<string, RepairAction, int> note, Action<CallState> reveal)
{
    /// <summary>Lets the piece's arguments through, or keeps them until they can be told.</summary>
    public void Pass(ChatEvent e, int index, CallState call, ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> first = text.TrimStart(" \t\r\n"u8);
        if (!call.IsSettled && !first.IsEmpty)
        {
            call.IsSettled = true;
            call.InWrapper = first[0] == '"';
        }

        if (!call.InWrapper) call.Follow(text);
        if (observes)
        {
            if (call.InWrapper) ObserveWrapper(call, text);
            return;
        }

        bool waits = call.InWrapper || !call.IsShown;
        if (!waits && call.Held is null) return;
        Hold(call, text);
        if (call.Unwrapper is not null) UnwrapOn(e, index, call);
        else if (!waits) ShowHeld(e, index, call);
        else if (call.InWrapper && WrappedArguments.IsWhole(call.Held!.Span)) Unwrap(e, index, call);
        else if (context.HeldBytes > context.HoldLimitBytes) GiveUp(e, index, call);
        else Hide(e, index, call);
    }

    private void ObserveWrapper(CallState call, ReadOnlySpan<byte> text)
    {
        call.Held ??= new PooledBytes(256);
        call.Held.Write(text);
        if (!WrappedArguments.IsWhole(call.Held.Span) && call.Held.Length <= context.HoldLimitBytes) return;
        using PooledBytes plain = new(call.Held.Length);
        Settle(call, plain);
        call.Held.Clear();
    }

    private void Hold(CallState call, ReadOnlySpan<byte> text)
    {
        call.Held ??= new PooledBytes(256);
        call.Held.Write(text);
        context.HeldBytes += text.Length;
    }

    private static void Hide(ChatEvent e, int index, CallState call)
    {
        EventPart part = e.Parts[index];
        bool saysMore = part.NewToolName is { Length: > 0 } || (part.NewToolName is null && part.ToolName.Length > 2);
        if (call.IsShown && saysMore)
        {
            if (e.Text(part).Length > 0) e.SetText(index, default);
        }
        else e.Remove(index);
    }

    /// <summary>The wrapper has closed: what it holds takes its place, if it is an object.</summary>
    private void Unwrap(ChatEvent e, int index, CallState call)
    {
        using PooledBytes plain = new(call.Held!.Length);
        if (!Settle(call, plain))
        {
            ShowHeld(e, index, call);
            return;
        }

        context.HeldBytes -= call.Held.Length;
        call.Held.Clear();
        call.Held.Write(plain.Span);
        context.HeldBytes += plain.Length;
        ShowHeld(e, index, call);
    }

    private bool Settle(CallState call, PooledBytes plain)
    {
        call.InWrapper = false;
        bool unwrapped = WrappedArguments.TryUnwrap(call.Held!.Span, plain);
        if (unwrapped) note("unwrapped", RepairAction.Rewritten, call.Held.Length);
        call.Follow(unwrapped ? plain.Span : call.Held.Span);
        return unwrapped;
    }

    /// <summary>
    /// No room to wait for the end. A wrapper that begins with an object is taken off while it streams: it is not proven to its end, but
    /// arguments are never a string, so what would go out otherwise is sure to fail.
    /// </summary>
    private void GiveUp(ChatEvent e, int index, CallState call)
    {
        if (!call.IsShown)
        {
            // Shown without its name, which may still come.
            reveal(call);
            e.Parts[index].NewToolId = call.IdText;
            e.Parts[index].NewToolIndex = call.Index;
        }

        if (call.InWrapper && WrappedArguments.BeginsWithObject(call.Held!.Span))
        {
            note("unwrapped-streaming", RepairAction.Rewritten, call.Held.Length);
            int space = JsonScanner.SkipSpace(call.Held.Span, 0);
            call.Held.Consume(space);
            context.HeldBytes -= space;
            call.Unwrapper = new ArgumentsReader();
            call.Unwrapper.Start(inString: true);
            UnwrapOn(e, index, call);
            return;
        }

        note("hold-limit", RepairAction.LetGo, call.Held!.Length);
        if (call.InWrapper) call.Follow(call.Held.Span);
        call.InWrapper = false;
        ShowHeld(e, index, call);
    }

    private void UnwrapOn(ChatEvent e, int index, CallState call)
    {
        int taken = call.Unwrapper!.Take(call.Held!.Span, more: true);
        call.Follow(call.Unwrapper.Said);
        e.SetText(index, call.Unwrapper.Said);
        call.Held.Consume(taken);
        context.HeldBytes -= taken;
        if (!call.Unwrapper.IsOver) return;
        call.Unwrapper.Dispose();
        call.Unwrapper = null;
        call.InWrapper = false;
        DropHeld(call);
    }

    private void ShowHeld(ChatEvent e, int index, CallState call)
    {
        if (call.InWrapper || !call.IsShown)
        {
            Hide(e, index, call);
            return;
        }

        e.SetText(index, call.Held!.Span);
        DropHeld(call);
    }

    public void DropHeld(CallState call)
    {
        context.HeldBytes -= call.Held!.Length;
        call.Held.Dispose();
        call.Held = null;
    }
}
