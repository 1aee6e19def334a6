namespace QwenProxy.Core.Tokens;

/// <summary>A token whose text stands for itself wherever it appears, such as <c>&lt;|im_end|&gt;</c>.</summary>
public sealed record SpecialToken(int Id, byte[] Text);

/// <summary>
/// A tokenizer as data, made by <c>tests/tokenizer/make.mjs</c>. All of it is numbers of seven bits a byte, lowest first: the ids of the 256 bytes;
/// the special tokens (count, then id, length and bytes of each); the merges (count, the left ids, then the right ids; merge k makes token 256 + k
/// and goes before every later one); Unicode's compositions (see <see cref="Composition"/>).
/// </summary>
public sealed class TokenData
{
    private TokenData(int[] bytes, SpecialToken[] specials, MergeTable merges, Composition composition)
    {
        Bytes = bytes;
        Specials = specials;
        Merges = merges;
        Composition = composition;
    }

    /// <summary>The id of each byte.</summary>
    public int[] Bytes { get; }

    public SpecialToken[] Specials { get; }

    public MergeTable Merges { get; }

    public Composition Composition { get; }

    /// <exception cref="InvalidDataException">The data end early or go on after their end.</exception>
    public static TokenData Read(ReadOnlySpan<byte> data)
    {
        NumberReader numbers = new(data);
        int[] bytes = numbers.NextMany(256);
        SpecialToken[] specials = new SpecialToken[numbers.Next()];
        for (int i = 0; i < specials.Length; i++)
        {
            int id = numbers.Next();
            specials[i] = new SpecialToken(id, [.. numbers.NextMany(numbers.Next()).Select(b => (byte)b)]);
        }

        int count = numbers.Next();
        MergeTable merges = new(numbers.NextMany(count), numbers.NextMany(count));
        Composition composition = new(ref numbers);
        if (!numbers.AtEnd) throw new InvalidDataException("The tokenizer's data go on after their end.");
        return new TokenData(bytes, specials, merges, composition);
    }
}

/// <summary>Reads numbers of seven bits a byte, lowest first.</summary>
public ref struct NumberReader(ReadOnlySpan<byte> data)
{
    private readonly ReadOnlySpan<byte> _data = data;
    private int _position;

    public readonly bool AtEnd => _position == _data.Length;

    public int Next()
    {
        int number = 0;
        for (int shift = 0; shift < 35 && _position < _data.Length; shift += 7)
        {
            byte part = _data[_position++];
            number |= (part & 127) << shift;
            if (part < 128) return number;
        }

        throw new InvalidDataException("The tokenizer's data are cut off or damaged.");
    }

    public int[] NextMany(int count)
    {
        if ((uint)count > (uint)(_data.Length - _position)) throw new InvalidDataException("The tokenizer's data are cut off or damaged.");
        int[] numbers = new int[count];
        for (int i = 0; i < count; i++) numbers[i] = Next();
        return numbers;
    }
}
