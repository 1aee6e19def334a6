using System.Text;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Writes the parameters of a call in tags as one JSON object while they come. Text goes out as it arrives; a value whose type is still open
/// waits until its text tells, or its end.
/// </summary>
internal sealed class ParameterWriter(DeclaredTools tools, int holdLimitBytes) : IDisposable
{
    /// <summary>No number, boolean or null is longer; a longer text is a string.</summary>
    private const int MaxScalarBytes = 64;

    private readonly PooledBytes _value = new(64);
    private readonly PooledBytes _json = new(64);
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly ParameterEnd _end = new(tools);
    private string _tool = "";
    private int _index;
    private JsonTypes _types;
    private bool _atStart;

    private enum Form
    {
        /// <summary>Waits for its type.</summary>
        Open,
        String,

        /// <summary>A JSON value too large to wait for its end.</summary>
        Json,
    }

    private Form _form;

    /// <summary>Nothing of the current value has come.</summary>
    public bool IsValueEmpty { get; private set; }

    public void Start(int index, string tool, bool isWrapped)
    {
        _index = index;
        _tool = tool;
        _seen.Clear();
        _end.StartCall(tool, isWrapped, _seen);
    }

    public void Open(ReadOnlySpan<byte> name, PieceList pieces)
    {
        string text = Encoding.UTF8.GetString(name.Trim(" \""u8));
        _json.Clear();
        _json.Write(_seen.Count == 0 ? "{"u8 : ","u8);
        JsonText.WriteString(Encoding.UTF8.GetBytes(text), _json);
        _json.Write(":"u8);
        _seen.Add(text);
        _end.StartParameter();
        _types = tools.TypesOf(_tool, text);
        _form = (_types & ~JsonTypes.String) == 0 ? Form.String : Form.Open;
        if (_form == Form.String) _json.Write("\""u8);
        pieces.Arguments(_index, _json.Span);
        _value.Clear();
        _atStart = IsValueEmpty = true;
    }

    /// <summary>One newline after the opening tag is layout. False when it takes more text to tell.</summary>
    public bool SkipFirstNewline(ReadOnlySpan<byte> work, ref int at, bool isLast)
    {
        if (!_atStart) return true;
        if (at == work.Length) return isLast;
        if (work[at] == '\r')
        {
            if (at + 1 == work.Length && !isLast) return false;
            if (at + 1 < work.Length && work[at + 1] == '\n') at += 2;
        }
        else if (work[at] == '\n') at++;

        _atStart = false;
        return true;
    }

    public Match EndsAt(ReadOnlySpan<byte> text, bool atLineStart, bool isLast, out int length) => _end.At(text, atLineStart, isLast, out length);

    public void Take(ReadOnlySpan<byte> text, PieceList pieces)
    {
        if (text.IsEmpty) return;
        IsValueEmpty = false;
        switch (_form)
        {
            case Form.String:
                pieces.ArgumentsEscaped(_index, text);
                break;
            case Form.Json:
                pieces.Arguments(_index, text);
                break;
            default:
                _value.Write(text);
                DecideForm(pieces);
                break;
        }
    }

    public void Close(PieceList pieces)
    {
        if (_form == Form.String) pieces.Arguments(_index, "\""u8);
        else if (_form == Form.Open)
        {
            _json.Clear();
            ValueCoercion.Write(_value.Span, _types, _json);
            pieces.Arguments(_index, _json.Span);
        }

        _atStart = false;
        _value.Clear();
    }

    public void EndCall(PieceList pieces) => pieces.Arguments(_index, _seen.Count == 0 ? "{}"u8 : "}"u8);

    public void Dispose()
    {
        _value.Dispose();
        _json.Dispose();
    }

    private void DecideForm(PieceList pieces)
    {
        if (_value.Length <= MaxScalarBytes) return;
        ReadOnlySpan<byte> text = _value.Span.TrimStart(" \t\r\n"u8);
        byte first = text.IsEmpty ? (byte)0 : text[0];
        bool container = (first == '{' && (_types & JsonTypes.Object) != 0) || (first == '[' && (_types & JsonTypes.Array) != 0);
        if (container && _value.Length <= holdLimitBytes) return;
        // Only JSON can be passed on in pieces; a Python literal of this size stays the text it is.
        container = container && ValueCoercion.BeginsAsJson(_value.Span);
        _form = container ? Form.Json : Form.String;
        if (container) pieces.Arguments(_index, _value.Span);
        else
        {
            pieces.Arguments(_index, "\""u8);
            pieces.ArgumentsEscaped(_index, _value.Span);
        }

        _value.Clear();
    }
}
