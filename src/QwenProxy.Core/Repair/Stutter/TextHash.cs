namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// A running fingerprint of all text of a channel, the same however the text was cut. It stands in for the text itself once a channel passes
/// through, so that a delta which restates a whole long answer can still be recognised without keeping that answer.
/// A polynomial over the prime 2^61-1: two different texts agree by chance about once in 10^18.
/// </summary>
internal struct TextHash
{
    private const ulong Prime = (1UL << 61) - 1;
    private const ulong Base = 0x1A3F_5C77_9B21_D4E3 % Prime;

    private ulong _value;
    private ulong _head;

    public int Length { readonly get; private set; }

    public static TextHash Of(ReadOnlySpan<byte> text)
    {
        TextHash hash = default;
        hash.Add(text);
        return hash;
    }

    public void Add(ReadOnlySpan<byte> text)
    {
        ulong value = _value;
        foreach (byte b in text)
        {
            ulong high = Math.BigMul(value, Base, out ulong low);
            value = (low & Prime) + ((high << 3) | (low >> 61)) + b + 1;
            value = (value & Prime) + (value >> 61);
            if (value >= Prime) value -= Prime;
        }

        for (int i = Length; i < 8 && i - Length < text.Length; i++) _head |= (ulong)text[i - Length] << (8 * i);
        _value = value;
        Length += text.Length;
    }

    public readonly bool Is(in TextHash other) => _value == other._value && Length == other.Length && _head == other._head;

    /// <summary>True when <paramref name="text"/> begins with everything added so far. The length and the first eight bytes speak first.</summary>
    public readonly bool BeginsWithThis(ReadOnlySpan<byte> text)
    {
        if (text.Length < Length) return false;
        for (int i = 0; i < Length && i < 8; i++)
        {
            if (text[i] != (byte)(_head >> (8 * i))) return false;
        }

        return Of(text[..Length])._value == _value;
    }
}
