using System.Security.Cryptography;
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

    /// <summary>How many blocks have been opened: the next one's index.</summary>
    public int Count { get; private set; }

    /// <summary>True when another block may begin. A call whose arguments are open waits for the rest, which may come between others'.</summary>
    public bool CanClose => !IsOpen || Kind != BlockKind.ToolUse || _progress.Complete;

    public bool Is(BlockKind kind, int toolKey) => IsOpen && Kind == kind && (kind != BlockKind.ToolUse || toolKey == ToolKey);

    public void Open(BlockKind kind, int toolKey, string id, string name)
    {
        Kind = kind;
        ToolKey = toolKey;
        ToolId = id;
        _progress = default;
        _carried?.Clear();
        IsOpen = true;
        writer.Open(Count++, kind, id, name);
    }

    /// <summary>Appends one piece in both spellings; <paramref name="inside"/> is empty where only the plain one exists.</summary>
    public void Append(ReadOnlySpan<byte> inside, ReadOnlySpan<byte> plain)
    {
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
        writer.Close(Kind == BlockKind.Thinking ? Sign() : null);
    }

    /// <summary>The block was none: nothing of it was shown.</summary>
    public void Drop()
    {
        IsOpen = false;
        Count--;
        writer.Drop();
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
