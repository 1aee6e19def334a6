using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>One tool call of a stream while it comes.</summary>
internal sealed class CallState(int choice, int upstreamIndex)
{
    private byte[] _id = [];
    private byte[] _name = [];
    private JsonFeed _feed;

    public int Choice => choice;

    /// <summary>The index the client sees; -1 until it sees the call.</summary>
    public int Index { get; private set; } = -1;

    /// <summary>The index upstream gave it; -1 when it gave none.</summary>
    public int UpstreamIndex => upstreamIndex;

    /// <summary>The id upstream gave it; empty when the proxy minted one.</summary>
    public ReadOnlySpan<byte> Id => _id;

    public ReadOnlySpan<byte> Name => _name;

    /// <summary>An id of the proxy's own.</summary>
    public string? MintedId { get; set; }

    /// <summary>The client has seen the call's first piece.</summary>
    public bool IsShown => Index >= 0;

    /// <summary>Arguments that wait: for the call's name, or for the end of the JSON string they are wrapped in.</summary>
    public PooledBytes? Held { get; set; }

    /// <summary>The arguments so far are an unfinished JSON string.</summary>
    public bool InWrapper { get; set; }

    /// <summary>Takes arguments out of a wrapper that is too large to wait for its end.</summary>
    public ArgumentsReader? Unwrapper { get; set; }

    /// <summary>Whether the arguments are wrapped in a string has been settled.</summary>
    public bool IsSettled { get; set; }

    public bool HasArguments => _feed.Started || InWrapper;

    public bool IsComplete => _feed.Complete;

    public bool IsUnfinished => InWrapper || _feed.IsOpen;

    /// <summary>The same name came again after the call was complete: the next arguments are another call's.</summary>
    public bool NextAnnounced { get; set; }

    public void ShowAs(int index) => Index = index;

    public void SetId(ReadOnlySpan<byte> id) => _id = id.ToArray();

    public void SetName(ReadOnlySpan<byte> name) => _name = name.ToArray();

    public string IdText => MintedId ?? Encoding.UTF8.GetString(_id);

    public string NameText => Encoding.UTF8.GetString(_name);

    public void Follow(ReadOnlySpan<byte> arguments) => _feed.Take(arguments);
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
