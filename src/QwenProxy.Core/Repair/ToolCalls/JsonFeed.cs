using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Follows a streamed JSON object, array or string byte by byte: how deep it is, whether a string is open, whether it has closed.</summary>
internal struct JsonFeed
{
    private ulong _objects;
    private int _depth;
    private bool _inString;
    private bool _escaped;
    private byte _lastSignificant;

    /// <summary>Anything but white space has come.</summary>
    public bool Started { get; private set; }

    /// <summary>The outermost bracket has closed, or the string that stood in its place.</summary>
    public bool Complete { get; private set; }

    public readonly bool InString => _inString;

    /// <summary>A bracket or a string is open: what came is not all.</summary>
    public readonly bool IsOpen => _depth > 0 || _inString;

    /// <summary>Brackets are open, and closing them now would not leave a value missing.</summary>
    public readonly bool CanClose => _depth is > 0 and <= 64 && !_inString && _lastSignificant is not ((byte)',' or (byte)':');

    /// <summary>Takes bytes until the value is complete; returns how many that were.</summary>
    public int Take(ReadOnlySpan<byte> json)
    {
        for (int i = 0; i < json.Length; i++)
        {
            if (Complete) return i;
            TakeByte(json[i]);
        }

        return json.Length;
    }

    /// <summary>
    /// The same, and writes them. Raw control characters inside a string, which small models write and no JSON reader takes, become escapes.
    /// </summary>
    public int Pass(ReadOnlySpan<byte> json, PooledBytes output, out int escaped)
    {
        int at = 0, from = 0;
        escaped = 0;
        while (at < json.Length && !Complete)
        {
            byte value = json[at];
            if (value < 0x20 && _inString)
            {
                output.Write(json[from..at]);
                JsonText.WriteInside([value], output);
                from = at + 1;
                escaped++;
            }

            TakeByte(value);
            at++;
        }

        output.Write(json[from..at]);
        return at;
    }

    /// <summary>The brackets that are still missing, innermost first.</summary>
    public byte[] Close()
    {
        byte[] closing = new byte[_depth];
        for (int i = 0; i < closing.Length; i++) closing[i] = (_objects >> (_depth - 1 - i) & 1) != 0 ? (byte)'}' : (byte)']';
        _depth = 0;
        Complete = true;
        return closing;
    }

    public void TakeByte(byte value)
    {
        if (_inString)
        {
            if (_escaped) _escaped = false;
            else if (value == '\\') _escaped = true;
            else if (value == '"')
            {
                _inString = false;
                Complete = _depth == 0;
            }

            return;
        }

        if (value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n') return;
        Started = true;
        _lastSignificant = value;
        if (value == '"') _inString = true;
        else if (value is (byte)'{' or (byte)'[')
        {
            if (_depth < 64) _objects = value == '{' ? _objects | (1UL << _depth) : _objects & ~(1UL << _depth);
            _depth++;
        }
        else if (value is (byte)'}' or (byte)']' && _depth > 0 && --_depth == 0) Complete = true;
    }
}
