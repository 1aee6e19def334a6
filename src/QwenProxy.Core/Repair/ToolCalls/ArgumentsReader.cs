using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Passes on a call's JSON arguments while they come: as they are, or out of the JSON string they were wrapped in.</summary>
internal sealed class ArgumentsReader : IDisposable
{
    private readonly PooledBytes _out = new(256);
    private JsonFeed _feed;
    private bool _inString;
    private bool _opened;

    /// <summary>Nothing more of these arguments comes.</summary>
    public bool IsOver { get; private set; }

    public bool IsComplete => _feed.Complete;

    public void Start(bool inString)
    {
        _feed = default;
        _inString = inString;
        _opened = false;
        IsOver = false;
    }

    /// <summary>What the last <see cref="Take"/> made of its text.</summary>
    public ReadOnlySpan<byte> Said => _out.Span;

    /// <summary>Takes what can be told and returns how many bytes that was.</summary>
    public int Take(ReadOnlySpan<byte> text, bool more)
    {
        _out.Clear();
        return _inString ? TakeFromString(text, more) : TakePlain(text);
    }

    public void Dispose() => _out.Dispose();

    /// <summary>Raw line ends inside a string, which small models write, become escapes. A tag outside any string means that brackets are
    /// missing.</summary>
    private int TakePlain(ReadOnlySpan<byte> text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            byte value = text[i];
            if (value == '<' && !_feed.InString)
            {
                IsOver = true;
                if (_feed.CanClose) _out.Write(_feed.Close());
                return i;
            }

            if (_feed.InString && value < 0x20) JsonText.WriteInside([value], _out);
            else _out.Write([value]);
            _feed.TakeByte(value);
            if (!_feed.Complete) continue;
            IsOver = true;
            return i + 1;
        }

        return text.Length;
    }

    private int TakeFromString(ReadOnlySpan<byte> text, bool more)
    {
        int at = 0;
        if (!_opened && text.Length > 0)
        {
            _opened = true;
            at = 1;
        }

        int start = at;
        while (at < text.Length && text[at] != '"')
        {
            int length = EscapeLength(text[at..]);
            if (at + length > text.Length)
            {
                if (more) break;
                length = text.Length - at;
            }

            at += length;
        }

        int before = _out.Length;
        JsonText.Unescape(text[start..at], _out);
        _feed.Take(_out.Span[before..]);
        if (at == text.Length || text[at] != '"') return at;
        IsOver = true;
        return at + 1;
    }

    private static int EscapeLength(ReadOnlySpan<byte> text)
    {
        if (text[0] != '\\') return 1;
        if (text.Length < 2 || text[1] != 'u') return 2;
        if (text.Length < 4) return 6;
        // Only a pair of surrogate escapes is one character; half of it must not be passed on alone.
        bool high = text[2] is (byte)'d' or (byte)'D' && text[3] is (byte)'8' or (byte)'9' or (byte)'a' or (byte)'b' or (byte)'A' or (byte)'B';
        return high && (text.Length < 7 || text[6] == '\\') ? 12 : 6;
    }
}
