namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// A running fingerprint of all text of a channel, the same however the text was cut. It stands in for the text itself once a channel passes
/// through, so that a delta which restates a whole long answer can still be recognised without keeping that answer.
/// A polynomial over the prime 2^61-1, one step for seven bytes: two different texts agree by chance about once in 10^17.
/// </summary>
internal struct TextHash
{
    private const ulong Prime = (1UL << 61) - 1;
    private const ulong Base = 0x1A3F_5C77_9B21_D4E3 % Prime;
    private const int BlockBytes = 7;

    private ulong _value;
    private ulong _block;
    private ulong _head;
    private int _inBlock;

    public int Length { readonly get; private set; }

    public static TextHash Of(ReadOnlySpan<byte> text)
    {
        TextHash hash = default;
        hash.Add(text);
        return hash;
    }

    public void Add(ReadOnlySpan<byte> text)
    {
        for (int i = Length; i < 8 && i - Length < text.Length; i++) _head |= (ulong)text[i - Length] << (8 * i);
        Length += text.Length;
        ulong block = _block;
        int inBlock = _inBlock;
        foreach (byte b in text)
        {
            block |= (ulong)b << (8 * inBlock);
            if (++inBlock < BlockBytes) continue;
            Mix(block);
            block = 0;
            inBlock = 0;
        }

        (_block, _inBlock) = (block, inBlock);
    }

    public readonly bool Is(in TextHash other) =>
        _value == other._value && _block == other._block && Length == other.Length && _head == other._head;

    /// <summary>The fingerprint in one number, for comparing many.</summary>
    public readonly ulong Print => _value ^ (_block * 0x9E37_79B9_7F4A_7C15) ^ (_head * 0xC2B2_AE3D_27D4_EB4F) ^ (ulong)Length;

    /// <summary>True when <paramref name="text"/> begins with everything added so far. The length and the first eight bytes speak first.</summary>
    public readonly bool BeginsWithThis(ReadOnlySpan<byte> text)
    {
        if (text.Length < Length) return false;
        for (int i = 0; i < Length && i < 8; i++)
        {
            if (text[i] != (byte)(_head >> (8 * i))) return false;
        }

        return Of(text[..Length]).Is(this);
    }

    private void Mix(ulong block)
    {
        ulong high = Math.BigMul(_value, Base, out ulong low);
        ulong value = (low & Prime) + ((high << 3) | (low >> 61)) + block + 1;
        value = (value & Prime) + (value >> 61);
        _value = value >= Prime ? value - Prime : value;
    }
}
