using System.Text;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// A number for what a JSON text says, made while it comes: the same for other white space, another order of members and other spellings of a
/// string. It is the sum of its leaves, each hashed with its path, so that nothing of the text has to be kept.
/// </summary>
internal struct JsonDigest
{
    private const int MaxDepth = 32;
    private const ulong Start = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    private readonly ulong[] _paths = new ulong[MaxDepth + 1];
    private readonly int[] _items = new int[MaxDepth + 1];
    private ulong _objects;
    private ulong _sum;
    private ulong _token = Start;
    private ulong _key;
    private uint _unit;
    private uint _high;
    private int _depth;
    private int _hexLeft;
    private bool _inString;
    private bool _escaped;
    private bool _inWord;
    private bool _keyNext;
    private bool _broken;

    public JsonDigest()
    {
    }

    /// <summary>Bytes that came.</summary>
    public int Length { get; private set; }

    /// <summary>One object came, from its first bracket to its last.</summary>
    public readonly bool IsWhole => !_broken && _depth == 0 && _items[0] == 1 && !_inString;

    public readonly bool IsSame(in JsonDigest other) => IsWhole && other.IsWhole && _sum == other._sum;

    public void Add(ReadOnlySpan<byte> json)
    {
        Length += json.Length;
        foreach (byte value in json)
        {
            if (_inString) TakeInside(value);
            else Take(value);
        }
    }

    private static ulong Mix(ulong hash, ulong value)
    {
        hash = (hash ^ value) * Prime;
        hash ^= hash >> 29;
        return hash * 0xBF58476D1CE4E5B9;
    }

    private readonly bool InObject => _depth > 0 && ((_objects >> (_depth - 1)) & 1) != 0;

    private readonly ulong Path => Mix(_paths[_depth], InObject ? _key : (ulong)_items[_depth]);

    private void Take(byte value)
    {
        switch (value)
        {
            case (byte)'{' or (byte)'[':
                Open(value == '{');
                break;
            case (byte)'}' or (byte)']':
                EndWord();
                Close();
                break;
            case (byte)'"':
                _inString = true;
                _token = Start;
                break;
            case (byte)',':
                EndWord();
                _keyNext = InObject;
                break;
            case (byte)':' or (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n':
                EndWord();
                break;
            default:
                _token = Mix(_inWord ? _token : Start, value);
                _inWord = true;
                break;
        }
    }

    private void Open(bool isObject)
    {
        if (_depth == MaxDepth)
        {
            _broken = true;
            return;
        }

        ulong path = Path;
        _items[_depth]++;
        _depth++;
        _paths[_depth] = path;
        _items[_depth] = 0;
        ulong bit = 1UL << (_depth - 1);
        _objects = isObject ? _objects | bit : _objects & ~bit;
        _keyNext = isObject;
    }

    private void Close()
    {
        if (_depth == 0)
        {
            _broken = true;
            return;
        }

        if (_items[_depth] == 0) _sum += Mix(_paths[_depth], InObject ? 3UL : 4UL);
        _depth--;
        _keyNext = false;
    }

    private void EndWord()
    {
        if (!_inWord) return;
        _inWord = false;
        Leaf(1);
    }

    private void Leaf(ulong kind)
    {
        _sum += Mix(Mix(Path, _token), kind);
        _items[_depth]++;
    }

    private void TakeInside(byte value)
    {
        if (_hexLeft > 0)
        {
            _unit = (_unit << 4) | (char.IsAsciiDigit((char)value) ? value - 48U : (value | 32U) - 87U) & 15;
            if (--_hexLeft == 0) TakeUnit();
        }
        else if (_escaped)
        {
            _escaped = false;
            if (value == 'u')
            {
                _hexLeft = 4;
                _unit = 0;
            }
            else TakeText(value switch { (byte)'n' => 10, (byte)'t' => 9, (byte)'r' => 13, (byte)'b' => 8, (byte)'f' => 12, _ => value });
        }
        else if (value == '\\') _escaped = true;
        else if (value == '"') EndString();
        else TakeText(value);
    }

    private void TakeText(byte value) => _token = Mix(_token, value);

    private void TakeUnit()
    {
        if (_unit is >= 0xD800 and < 0xDC00)
        {
            _high = _unit;
            return;
        }

        bool isLow = _unit is >= 0xDC00 and < 0xE000;
        uint point = isLow && _high != 0 ? 0x10000 + ((_high - 0xD800) << 10) + (_unit - 0xDC00) : _unit;
        _high = 0;
        Span<byte> utf8 = stackalloc byte[4];
        int length = (Rune.IsValid(point) ? new Rune(point) : Rune.ReplacementChar).EncodeToUtf8(utf8);
        foreach (byte value in utf8[..length]) TakeText(value);
    }

    private void EndString()
    {
        _inString = false;
        if (_keyNext)
        {
            _key = _token;
            _keyNext = false;
        }
        else Leaf(2);
    }
}
