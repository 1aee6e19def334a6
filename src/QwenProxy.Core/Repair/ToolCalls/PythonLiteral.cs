using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Reads a list or dict as Python writes it, which models trained on Python put where JSON belongs: single quotes, <c>True</c>, <c>None</c>, a comma
/// behind the last item. Only a text that is such a literal from end to end is taken.
/// </summary>
internal ref struct PythonLiteral
{
    private const int MaxDepth = 64;

    private readonly ReadOnlySpan<byte> _text;
    private readonly PooledBytes _json;
    private int _at;

    private PythonLiteral(ReadOnlySpan<byte> text, PooledBytes json)
    {
        _text = text;
        _json = json;
    }

    /// <summary>Writes the same value as JSON; false when the text is something else, and then what was written is of no use.</summary>
    public static bool TryWriteJson(ReadOnlySpan<byte> text, PooledBytes json)
    {
        PythonLiteral literal = new(text, json);
        return literal.ReadValue(0) && literal._at == text.Length;
    }

    private readonly byte Next => _at < _text.Length ? _text[_at] : (byte)0;

    private void SkipSpace() => _at = JsonScanner.SkipSpace(_text, _at);

    private bool ReadValue(int depth)
    {
        if (depth > MaxDepth) return false;
        switch (Next)
        {
            case (byte)'[': return ReadItems((byte)']', "[", "]", depth, hasKeys: false);
            case (byte)'(': return ReadItems((byte)')', "[", "]", depth, hasKeys: false);
            case (byte)'{': return ReadItems((byte)'}', "{", "}", depth, hasKeys: true);
            case (byte)'\'' or (byte)'"': return ReadString();
        }

        return ReadWord("True"u8, "true"u8) || ReadWord("False"u8, "false"u8) || ReadWord("None"u8, "null"u8) || ReadWord("true"u8, "true"u8)
            || ReadWord("false"u8, "false"u8) || ReadWord("null"u8, "null"u8) || ReadNumber();
    }

    private bool ReadItems(byte close, string open, string end, int depth, bool hasKeys)
    {
        _at++;
        _json.Write([(byte)open[0]]);
        for (bool first = true; ; first = false)
        {
            SkipSpace();
            if (Next == close) break;
            if (!first) _json.Write(","u8);
            if (hasKeys && !ReadKey()) return false;
            if (!ReadValue(depth + 1)) return false;
            SkipSpace();
            if (Next == close) break;
            if (Next != ',') return false;
            _at++;
        }

        _at++;
        _json.Write([(byte)end[0]]);
        return true;
    }

    private bool ReadKey()
    {
        if (Next is not ((byte)'\'' or (byte)'"') || !ReadString()) return false;
        SkipSpace();
        if (Next != ':') return false;
        _at++;
        _json.Write(":"u8);
        SkipSpace();
        return true;
    }

    private bool ReadString()
    {
        byte quote = Next;
        _at++;
        _json.Write("\""u8);
        while (_at < _text.Length && _text[_at] != quote)
        {
            if (_text[_at] == '\\')
            {
                if (!ReadEscape()) return false;
                continue;
            }

            int length = 1;
            while (_at + length < _text.Length && _text[_at + length] != quote && _text[_at + length] != '\\') length++;
            JsonText.WriteInside(_text.Slice(_at, length), _json);
            _at += length;
        }

        if (_at == _text.Length) return false;
        _at++;
        _json.Write("\""u8);
        return true;
    }

    private bool ReadEscape()
    {
        if (_at + 1 == _text.Length) return false;
        byte kind = _text[_at + 1];
        int digits = kind switch { (byte)'x' => 2, (byte)'u' => 4, _ => 0 };
        if (digits > 0)
        {
            if (_at + 2 + digits > _text.Length) return false;
            ReadOnlySpan<byte> hex = _text.Slice(_at + 2, digits);
            foreach (byte digit in hex)
            {
                if (!char.IsAsciiHexDigit((char)digit)) return false;
            }

            _json.Write(digits == 2 ? "\\u00"u8 : "\\u"u8);
            _json.Write(hex);
        }
        else if ("ntrbf\\"u8.Contains(kind)) _json.Write([(byte)'\\', kind]);
        else if (kind is (byte)'\'' or (byte)'"' or (byte)'/') JsonText.WriteInside([kind], _json);
        else JsonText.WriteInside(_text.Slice(_at, 2), _json);

        _at += 2 + digits;
        return true;
    }

    private bool ReadWord(ReadOnlySpan<byte> word, ReadOnlySpan<byte> json)
    {
        if (!_text[_at..].StartsWith(word)) return false;
        _at += word.Length;
        _json.Write(json);
        return true;
    }

    private bool ReadNumber()
    {
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiDigit((char)_text[_at]) || "+-.eE"u8.Contains(_text[_at]))) _at++;
        ReadOnlySpan<byte> number = _text[start.._at];
        if (number.IsEmpty || !ValueCoercion.IsJson(number)) return false;
        _json.Write(number);
        return true;
    }
}
