namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// Tells whether the bytes fed so far can still become one JSON value. A value type, so that two readings of a stream can part from one copy.
/// It is lenient where models are (raw control characters in strings, any spelling of a number): it must never call a healthy call broken.
/// </summary>
internal struct JsonPrefix
{
    private const int MaxDepth = 64;

    /// <summary>One bit per open container, the innermost lowest: 1 is an object.</summary>
    private ulong _objects;
    private int _depth;
    private At _at;
    private byte _literal;
    private byte _literalUsed;
    private bool _keyString;
    private bool _mayClose;

    private enum At : byte
    {
        Value,
        String,
        Escape,
        Number,
        Literal,
        AfterValue,
        Key,
        Colon,
        Broken,
        TooDeep,
    }

    /// <summary>True when no JSON text begins like this.</summary>
    public readonly bool IsBroken => _at == At.Broken;

    /// <summary>True when nesting went beyond what is followed: nothing can be said any more.</summary>
    public readonly bool IsLost => _at == At.TooDeep;

    /// <summary>True when the text is a whole object or array. A bare number or string is never counted whole: it proves nothing.</summary>
    public bool IsComplete { readonly get; private set; }

    public void Feed(ReadOnlySpan<byte> text)
    {
        foreach (byte b in text)
        {
            if (_at >= At.Broken) return;
            Step(b);
        }
    }

    private static bool IsSpace(byte b) => b is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    private static ReadOnlySpan<byte> Word(byte first) => first switch
    {
        (byte)'t' => "true"u8,
        (byte)'f' => "false"u8,
        _ => "null"u8,
    };

    private void Step(byte b)
    {
        switch (_at)
        {
            case At.Value:
                if (!IsSpace(b)) BeginValue(b);
                break;
            case At.String:
                if (b == '\\') _at = At.Escape;
                else if (b == '"') _at = _keyString ? At.Colon : At.AfterValue;
                break;
            case At.Escape:
                _at = At.String;
                break;
            case At.Number:
                if (b is not ((>= (byte)'0' and <= (byte)'9') or (byte)'.' or (byte)'e' or (byte)'E' or (byte)'+' or (byte)'-')) AfterValue(b);
                break;
            case At.Literal:
                StepLiteral(b);
                break;
            case At.AfterValue:
                AfterValue(b);
                break;
            case At.Key:
                if (b == '"') BeginString(key: true);
                else if (b == '}' && _mayClose) Close(isObject: true);
                else if (!IsSpace(b)) _at = At.Broken;
                break;
            case At.Colon:
                if (b == ':') ExpectValue(mayClose: false);
                else if (!IsSpace(b)) _at = At.Broken;
                break;
        }
    }

    private void StepLiteral(byte b)
    {
        ReadOnlySpan<byte> word = Word(_literal);
        if (b != word[_literalUsed]) _at = At.Broken;
        else if (++_literalUsed == word.Length) _at = At.AfterValue;
    }

    private void BeginValue(byte b)
    {
        switch (b)
        {
            case (byte)'{':
                Open(isObject: true);
                break;
            case (byte)'[':
                Open(isObject: false);
                break;
            case (byte)'"':
                BeginString(key: false);
                break;
            case (byte)']' when _mayClose:
                Close(isObject: false);
                break;
            case (byte)'-' or (>= (byte)'0' and <= (byte)'9'):
                _at = At.Number;
                break;
            case (byte)'t' or (byte)'f' or (byte)'n':
                (_literal, _literalUsed, _at) = (b, 1, At.Literal);
                break;
            default:
                _at = At.Broken;
                break;
        }
    }

    private void AfterValue(byte b)
    {
        _at = At.AfterValue;
        if (IsSpace(b)) return;
        if (_depth == 0) _at = At.Broken;
        else if (b == ',' && InObject) (_at, _mayClose) = (At.Key, false);
        else if (b == ',') ExpectValue(mayClose: false);
        else if (b is (byte)'}' or (byte)']') Close(b == '}');
        else _at = At.Broken;
    }

    private readonly bool InObject => (_objects & 1) == 1;

    private void ExpectValue(bool mayClose) => (_at, _mayClose) = (At.Value, mayClose);

    private void BeginString(bool key) => (_at, _keyString) = (At.String, key);

    private void Open(bool isObject)
    {
        if (_depth == MaxDepth)
        {
            _at = At.TooDeep;
            return;
        }

        _depth++;
        _objects = (_objects << 1) | (isObject ? 1UL : 0UL);
        (_at, _mayClose) = (isObject ? At.Key : At.Value, true);
    }

    private void Close(bool isObject)
    {
        if (InObject != isObject)
        {
            _at = At.Broken;
            return;
        }

        _depth--;
        _objects >>= 1;
        _at = At.AfterValue;
        IsComplete = _depth == 0;
    }
}
