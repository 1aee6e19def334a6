namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Reads what is passed on of a call's arguments, byte by byte and by the letter of JSON's grammar, so that at the end it is known whether a client
/// can parse them and whether other arguments say the same, without keeping them. White space between tokens does not count.
/// </summary>
internal struct JsonCheck
{
    private const int MaxDepth = 64;
    private const ulong HashStart = 14695981039346656037;
    private const ulong HashPrime = 1099511628211;

    private ulong _objects;
    private ulong _hash;
    private int _depth;
    private int _left;
    private At _at;
    private byte _word;
    private bool _isKey;

    private enum At : byte
    {
        Value,
        FirstItem,
        FirstKey,
        Key,
        Colon,
        After,
        String,
        Escape,
        Hex,
        Word,
        Minus,
        Zero,
        Digits,
        Dot,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
        Broken,
    }

    /// <summary>Bytes that are not white space between tokens.</summary>
    public int Length { get; private set; }

    /// <summary>What came is one JSON value and nothing else.</summary>
    public readonly bool IsWhole => _depth == 0 && (_at == At.After || IsInNumber);

    public static JsonCheck Of(ReadOnlySpan<byte> json)
    {
        JsonCheck check = default;
        check.Add(json);
        return check;
    }

    public readonly bool SaysTheSameAs(in JsonCheck other) => Length == other.Length && _hash == other._hash;

    public void Add(ReadOnlySpan<byte> json)
    {
        foreach (byte value in json)
        {
            bool inside = _at is At.String or At.Escape or At.Hex;
            if (!inside && IsSpace(value))
            {
                if (IsInNumber) _at = At.After;
                else if (_at is At.Word or At.Minus or At.Dot or At.Exponent or At.ExponentSign) _at = At.Broken;
                continue;
            }

            _hash = ((_hash == 0 ? HashStart : _hash) ^ value) * HashPrime;
            Length++;
            if (inside) StepInside(value);
            else if (_at == At.Word) StepWord(value);
            else Step(value);
        }
    }

    private readonly bool IsInNumber => _at is At.Zero or At.Digits or At.Fraction or At.ExponentDigits;

    private readonly bool InObject => (_objects & 1) != 0;

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    private static ReadOnlySpan<byte> Rest(byte word) => word switch
    {
        (byte)'t' => "rue"u8,
        (byte)'f' => "alse"u8,
        _ => "ull"u8,
    };

    private void StepInside(byte value)
    {
        if (_at == At.Hex)
        {
            _at = char.IsAsciiHexDigit((char)value) ? --_left == 0 ? At.String : At.Hex : At.Broken;
        }
        else if (_at == At.Escape)
        {
            _left = 4;
            _at = value == 'u' ? At.Hex : "\"\\/bfnrt"u8.Contains(value) ? At.String : At.Broken;
        }
        else if (value == '\\') _at = At.Escape;
        else if (value == '"') _at = _isKey ? At.Colon : At.After;
        else if (value < 0x20) _at = At.Broken;
    }

    private void StepWord(byte value)
    {
        ReadOnlySpan<byte> rest = Rest(_word);
        if (value != rest[^_left]) _at = At.Broken;
        else if (--_left == 0) _at = At.After;
    }

    private void Step(byte value)
    {
        bool digit = char.IsAsciiDigit((char)value);
        _at = _at switch
        {
            At.FirstKey when value == '}' => Close(isObject: true),
            At.FirstKey or At.Key when value == '"' => BeginString(isKey: true),
            At.Colon when value == ':' => At.Value,
            At.FirstItem when value == ']' => Close(isObject: false),
            At.Value or At.FirstItem => Begin(value),
            At.Minus => value == '0' ? At.Zero : digit ? At.Digits : At.Broken,
            At.Digits when digit => At.Digits,
            At.Zero or At.Digits when value == '.' => At.Dot,
            At.Dot or At.Fraction when digit => At.Fraction,
            At.Zero or At.Digits or At.Fraction when value is (byte)'e' or (byte)'E' => At.Exponent,
            At.Exponent when value is (byte)'+' or (byte)'-' => At.ExponentSign,
            At.Exponent or At.ExponentSign or At.ExponentDigits when digit => At.ExponentDigits,
            At.After or At.Zero or At.Digits or At.Fraction or At.ExponentDigits => After(value),
            _ => At.Broken,
        };
    }

    private At Begin(byte value)
    {
        switch (value)
        {
            case (byte)'{' or (byte)'[':
                if (_depth == MaxDepth) return At.Broken;
                _depth++;
                _objects = (_objects << 1) | (value == '{' ? 1UL : 0UL);
                return value == '{' ? At.FirstKey : At.FirstItem;
            case (byte)'"':
                return BeginString(isKey: false);
            case (byte)'t' or (byte)'f' or (byte)'n':
                _word = value;
                _left = Rest(value).Length;
                return At.Word;
            case (byte)'-':
                return At.Minus;
            case (byte)'0':
                return At.Zero;
            default:
                return char.IsAsciiDigit((char)value) ? At.Digits : At.Broken;
        }
    }

    private At BeginString(bool isKey)
    {
        _isKey = isKey;
        return At.String;
    }

    private At After(byte value)
    {
        if (_depth == 0) return At.Broken;
        if (value == ',') return InObject ? At.Key : At.Value;
        return value is (byte)'}' or (byte)']' ? Close(value == '}') : At.Broken;
    }

    private At Close(bool isObject)
    {
        if (InObject != isObject) return At.Broken;
        _depth--;
        _objects >>= 1;
        return At.After;
    }
}
