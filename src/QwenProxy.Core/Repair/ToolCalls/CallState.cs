using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>One tool call of a stream while its id, its name and its arguments come, in any order and in any number of pieces.</summary>
internal sealed class CallState(int choice, int upstreamIndex, CallArguments arguments) : IDisposable
{
    private byte[] _id = [];
    private byte[] _name = [];

    public int Choice => choice;

    /// <summary>The index the client sees; -1 until it sees the call.</summary>
    public int Index { get; private set; } = -1;

    /// <summary>The index upstream gave it; -1 when it gave none.</summary>
    public int UpstreamIndex { get; set; } = upstreamIndex;

    /// <summary>The id upstream gave it; empty when it gave none.</summary>
    public ReadOnlySpan<byte> Id => _id;

    public ReadOnlySpan<byte> Name => _name;

    public CallArguments Arguments => arguments;

    /// <summary>An id of the proxy's own, in the place of a missing one or of one that is taken.</summary>
    public string? MintedId { get; set; }

    /// <summary>The client has seen the call's first piece.</summary>
    public bool IsShown => Index >= 0;

    /// <summary>The stream is past its end: nothing more is said of it.</summary>
    public bool IsOver { get; set; }

    /// <summary>Upstream gave the same id to a call before it: the two may be one.</summary>
    public bool SharesId { get; set; }

    /// <summary>No more pieces of the name are waited for.</summary>
    public bool IsNameSettled { get; set; }

    /// <summary>The same name came again after the call was complete: the next arguments are another call's.</summary>
    public bool NextAnnounced { get; set; }

    /// <summary>Arguments that may be passed on once the call is shown.</summary>
    public PooledBytes? Held { get; set; }

    /// <summary>Where a lone <c>{}</c> stands in what is held.</summary>
    public int HeldBeforeLone { get; set; }

    /// <summary>The event that waits with a lone <c>{}</c> in it, the part, and how much of its text stays when the <c>{}</c> leaves it.</summary>
    public (ChatEvent? Event, int Part, int Kept) LonePlace { get; set; }

    /// <summary>The event that waits with a name which may go on, and the part.</summary>
    public (ChatEvent? Event, int Part) NamePlace { get; set; }

    public bool Waits => LonePlace.Event is not null || NamePlace.Event is not null;

    public string IdText => MintedId ?? Encoding.UTF8.GetString(_id);

    public string NameText => Encoding.UTF8.GetString(_name);

    public void ShowAs(int index) => Index = index;

    public void SetId(ReadOnlySpan<byte> id) => _id = id.ToArray();

    public void SetName(ReadOnlySpan<byte> name) => _name = name.ToArray();

    /// <summary>
    /// The name with another piece of it; null when the two are no pieces of one declared name. Two declared names are two calls, though they
    /// would make a third one together.
    /// </summary>
    public byte[]? JoinName(ReadOnlySpan<byte> more, DeclaredTools tools)
    {
        if (IsNameSettled || _name.Length == 0 || tools.IsEmpty || more.SequenceEqual(_name) || (tools.Has(_name) && tools.Has(more))) return null;
        byte[] joined = [.. _name, .. more];
        if (tools.AnyStartsWith(joined)) return joined;
        return more.StartsWith(_name) && tools.AnyStartsWith(more) ? more.ToArray() : null;
    }

    public void Dispose()
    {
        Held?.Dispose();
        arguments.Dispose();
    }
}

/// <summary>What one part of a tool call carries, whether upstream or a stage before wrote it.</summary>
internal readonly ref struct CallPart(int index, ReadOnlySpan<byte> id, ReadOnlySpan<byte> name, bool isObject)
{
    public int Index { get; } = index;

    public ReadOnlySpan<byte> Id { get; } = id;

    public ReadOnlySpan<byte> Name { get; } = name;

    /// <summary>The arguments came as a JSON object where a string belongs.</summary>
    public bool IsObject { get; } = isObject;

    public static CallPart Read(ChatEvent e, in EventPart part, PooledBytes scratch)
    {
        scratch.Clear();
        int idLength = Write(e, part.NewToolId, part.ToolId, scratch);
        int nameLength = Write(e, part.NewToolName, part.ToolName, scratch);
        bool isObject = !part.HasNewText && part.ToolArguments.Length > 0 && e.Data.Span[part.ToolArguments.Start] == '{';
        return new CallPart(part.NewToolIndex ?? part.ToolIndex, scratch.Span[..idLength], scratch.Span.Slice(idLength, nameLength), isObject);
    }

    private static int Write(ChatEvent e, string? own, ByteRange token, PooledBytes scratch)
    {
        int before = scratch.Length;
        if (own is null) scratch.Write(e.Plain(token));
        else
        {
            Span<byte> room = scratch.GetSpan(Encoding.UTF8.GetMaxByteCount(own.Length));
            scratch.Advance(Encoding.UTF8.GetBytes(own, room));
        }

        return scratch.Length - before;
    }
}
