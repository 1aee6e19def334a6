using System.Security.Cryptography;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>The block that is being written: it knows when it may close, and signs what the model thought.</summary>
internal sealed class OpenBlock(BlockWriter writer, MessagesAnswerOptions options) : IDisposable
{
    private const int PingEveryBytes = 2048;

    private IncrementalHash? _hash;
    private PooledBytes? _carried;
    private ArgumentsProgress _progress;
    private int _unshownBytes;

    public bool IsOpen { get; private set; }

    public BlockKind Kind { get; private set; }

    /// <summary>Which call, in the upstream's counting.</summary>
    public int ToolKey { get; private set; }

    public string ToolId { get; private set; } = "";

    /// <summary>Upstream's own frame opened it.</summary>
    public bool IsPassed { get; private set; }

    /// <summary>The upstream block whose words it holds; -1 for words of a stage or of another dialect.</summary>
    public int Source { get; private set; }

    /// <summary>Words of more than one block are in it: what upstream says about the one holds no longer.</summary>
    public bool IsMixed { get; private set; }

    /// <summary>Something was said in it, or taken out of it.</summary>
    public bool HasSpoken { get; set; }

    /// <summary>Upstream has ended it; only a stage may still have something to say in it.</summary>
    public bool HasEnded { get; set; }

    /// <summary>A stage took words out of it.</summary>
    public bool HasLost { get; set; }

    /// <summary>How many blocks have been opened: the next one's index.</summary>
    public int Count { get; private set; }

    /// <summary>True when another block may begin. A call whose arguments are open waits for the rest, which may come between others'.</summary>
    public bool CanClose => !IsOpen || Kind != BlockKind.ToolUse || _progress.Complete;

    public bool Is(BlockKind kind, int toolKey) => IsOpen && Kind == kind && (kind != BlockKind.ToolUse || toolKey == ToolKey);

    public void Open(BlockKind kind, int toolKey, string id, string name)
    {
        Begin(kind, toolKey, id);
        Source = -1;
        IsPassed = false;
        writer.Open(Count++, kind, id, name);
    }

    /// <summary>Opens the block that upstream's frame opens.</summary>
    public void Pass(ChatEvent e, BlockKind kind, int toolKey, string id)
    {
        Begin(kind, toolKey, id);
        Source = e.Frame.Index;
        IsPassed = true;
        writer.PassOpen(e, Count++, kind);
    }

    /// <summary>Upstream's frame goes on in this block.</summary>
    public void PassDelta(ChatEvent e, ReadOnlySpan<byte> plain)
    {
        Feed(e.Frame.Index);
        HasSpoken = true;
        if (Kind == BlockKind.ToolUse) _progress.Add(plain);
        writer.PassDelta(e);
    }

    /// <summary>From here on its words are those of this upstream block.</summary>
    public void Feed(int source)
    {
        IsMixed |= Source != source;
        Source = source;
    }

    /// <summary>Upstream's stream broke: no later block is this one.</summary>
    public void Detach() => Source = -1;

    /// <summary>It was announced, and nothing was left to say in it.</summary>
    public void Forget()
    {
        IsOpen = false;
        Count--;
        writer.Forget();
    }

    private void Begin(BlockKind kind, int toolKey, string id)
    {
        Kind = kind;
        ToolKey = toolKey;
        ToolId = id;
        _progress = default;
        _carried?.Clear();
        IsOpen = true;
        IsMixed = HasSpoken = HasLost = HasEnded = false;
    }

    /// <summary>Appends one piece in both spellings; <paramref name="inside"/> is empty where only the plain one exists.</summary>
    public void Append(ReadOnlySpan<byte> inside, ReadOnlySpan<byte> plain)
    {
        HasSpoken = true;
        if (IsPassed) IsMixed = true;
        if (Kind == BlockKind.Thinking && options.Display == ThinkingDisplay.Omitted)
        {
            CarryUnshown(plain);
            return;
        }

        if (inside.IsEmpty) writer.AppendPlain(plain);
        else writer.Append(inside);
        if (Kind == BlockKind.ToolUse) _progress.Add(plain);
        else if (Kind == BlockKind.Thinking) Digest(plain);
    }

    public void Close()
    {
        if (!IsOpen) return;
        IsOpen = false;
        // Thinking that upstream began is not ours to sign: it has upstream's signature, or none.
        writer.Close(Kind == BlockKind.Thinking && !IsPassed ? Sign() : null);
    }

    /// <summary>Counts words the client is not shown, and now and then gives it a sign of life instead.</summary>
    public void CountUnshown(int bytes)
    {
        _unshownBytes += bytes;
        if (_unshownBytes < PingEveryBytes) return;
        _unshownBytes = 0;
        writer.Ping();
    }

    public void Dispose()
    {
        _hash?.Dispose();
        _carried?.Dispose();
    }

    private void CarryUnshown(ReadOnlySpan<byte> plain)
    {
        Digest(plain);
        _carried ??= new PooledBytes(1024);
        // One byte over the limit is enough to know that nothing will be carried.
        int room = ThinkingSignature.MaxCarriedBytes + 1 - _carried.Length;
        if (options.CarryThinking) _carried.Write(plain[..Math.Min(room, plain.Length)]);
        CountUnshown(plain.Length);
    }

    private void Digest(ReadOnlySpan<byte> plain)
    {
        _hash ??= IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        _hash.AppendData(plain);
    }

    private string Sign()
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        _hash ??= IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        _hash.GetHashAndReset(digest);
        bool carry = _carried is { Length: > 0 and <= ThinkingSignature.MaxCarriedBytes };
        return carry ? ThinkingSignature.Carrying(_carried!.Span) : ThinkingSignature.OfDigest(digest);
    }
}
