using System.Buffers;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>What becomes of two texts of one member.</summary>
internal enum TextJoin : byte
{
    /// <summary>They are pieces of one text.</summary>
    Add,

    /// <summary>The same thing said again: an id, a name. The first that says anything stays.</summary>
    Keep,

    /// <summary>The later one counts.</summary>
    Replace,
}

/// <summary>
/// A JSON value that comes in pieces, of whatever member: texts are joined as told, objects are merged, lists are joined by their items'
/// <c>index</c> or grow, of numbers the last counts. Texts stay in their JSON spelling: joining two needs no decoding.
/// </summary>
internal sealed class PiecedValue : IDisposable
{
    private readonly List<KeyValuePair<byte[], PiecedValue>> _members = [];
    private readonly List<PiecedValue> _items = [];
    private PooledBytes? _text;
    private byte[] _plain = [];
    private Shape _shape;

    private enum Shape : byte
    {
        /// <summary>A value as it came; of no length while there is none.</summary>
        Plain,
        Text,
        Object,
        List,
    }

    /// <summary>Absent, null or "".</summary>
    public bool IsEmpty => _shape switch
    {
        Shape.Plain => _plain.Length == 0 || _plain.AsSpan().SequenceEqual("null"u8) || _plain.AsSpan().SequenceEqual("\"\""u8),
        Shape.Text => _text!.Length == 0,
        _ => false,
    };

    public bool IsString => _shape == Shape.Text || (_shape == Shape.Plain && _plain.AsSpan().StartsWith("\""u8));

    public IReadOnlyList<PiecedValue> Items => _items;

    /// <summary>In the order they were first seen. The names are spelt as in JSON, without quotes.</summary>
    public IReadOnlyList<KeyValuePair<byte[], PiecedValue>> Members => _members;

    public PiecedValue? Find(ReadOnlySpan<byte> name)
    {
        foreach ((byte[] known, PiecedValue value) in _members)
        {
            if (name.SequenceEqual(known)) return value;
        }

        return null;
    }

    public PiecedValue Member(ReadOnlySpan<byte> name)
    {
        if (Find(name) is { } known) return known;
        _shape = Shape.Object;
        PiecedValue value = new();
        _members.Add(new(name.ToArray(), value));
        return value;
    }

    /// <summary>Adds a piece.</summary>
    public void Add(ReadOnlySpan<byte> json, TextJoin join)
    {
        switch (json[0])
        {
            case (byte)'{':
                Begin(Shape.Object);
                JsonScanner members = new(json);
                while (members.MoveNext()) AddMember(json[(members.Name.Start + 1)..(members.Name.End - 1)], members.Value.In(json), join);
                break;
            case (byte)'[':
                AddItems(json, join);
                break;
            case (byte)'"' when join == TextJoin.Add:
                Begin(Shape.Text);
                (_text ??= new PooledBytes(64)).Write(json[1..^1]);
                break;
            case (byte)'"' when join == TextJoin.Keep && !IsEmpty:
                break;
            case (byte)'n' when _shape != Shape.Plain || _plain.Length > 0:
                break;
            default:
                Begin(Shape.Plain);
                if (!json.SequenceEqual(_plain)) _plain = json.ToArray();
                break;
        }
    }

    public void Clear() => Begin(Shape.Plain);

    /// <summary>Adds the items of a list, each to the one with the same <c>index</c>.</summary>
    /// <param name="json">The list.</param>
    /// <param name="join">How the items' texts are joined.</param>
    /// <param name="defaultIndex">Where an item without <c>index</c> belongs; null when it is an item of its own.</param>
    public void AddItems(ReadOnlySpan<byte> json, TextJoin join, int? defaultIndex = null)
    {
        Begin(Shape.List);
        JsonScanner items = new(json);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> item = items.Value.In(json);
            PiecedValue? known = null;
            if (item[0] == '{' && (OpenAIChatFold.ReadIndex(item) ?? defaultIndex) is { } index)
            {
                known = _items.Find(i => i.Index == index);
                if (known is null) _items.Add(known = new PiecedValue { Index = index });
                known.Add(item, join);
            }
            else _items.Add(new PiecedValue { _plain = item.ToArray() });
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        switch (_shape)
        {
            case Shape.Text:
                output.Write("\""u8);
                output.Write(_text!.Span);
                output.Write("\""u8);
                break;
            case Shape.Object:
                output.Write("{"u8);
                WriteMembers(output);
                output.Write("}"u8);
                break;
            case Shape.List:
                output.Write("["u8);
                for (int i = 0; i < _items.Count; i++)
                {
                    if (i > 0) output.Write(","u8);
                    _items[i].WriteTo(output);
                }

                output.Write("]"u8);
                break;
            default:
                output.Write(_plain);
                break;
        }
    }

    public static void WriteName(IBufferWriter<byte> output, ReadOnlySpan<byte> name)
    {
        output.Write("\""u8);
        output.Write(name);
        output.Write("\":"u8);
    }

    public void Dispose()
    {
        _text?.Dispose();
        foreach ((_, PiecedValue value) in _members) value.Dispose();
        foreach (PiecedValue item in _items) item.Dispose();
    }

    private int? Index { get; init; }

    private void WriteMembers(IBufferWriter<byte> output)
    {
        for (int i = 0; i < _members.Count; i++)
        {
            if (i > 0) output.Write(","u8);
            WriteName(output, _members[i].Key);
            _members[i].Value.WriteTo(output);
        }
    }

    private void AddMember(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, TextJoin join)
    {
        PiecedValue member = Member(name);
        if (name.SequenceEqual("arguments"u8) && value[0] == '{') member.AddAsText(value);
        else member.Add(value, join == TextJoin.Add && IsName(name) ? TextJoin.Keep : join);
    }

    /// <summary>Arguments that came as an object where a text belongs.</summary>
    private void AddAsText(ReadOnlySpan<byte> json)
    {
        Begin(Shape.Text);
        JsonText.WriteInside(json, _text ??= new PooledBytes(64));
    }

    /// <summary>Texts that name a thing or say what it is; pieces repeat them.</summary>
    private static bool IsName(ReadOnlySpan<byte> name) =>
        name.EndsWith("_id"u8) || name.SequenceEqual("id"u8) || name.SequenceEqual("name"u8) || name.SequenceEqual("type"u8) || name.SequenceEqual("role"u8)
        || name.SequenceEqual("format"u8) || name.SequenceEqual("status"u8) || name.SequenceEqual("object"u8) || name.SequenceEqual("model"u8);

    /// <summary>A piece of another shape takes the place of what was there.</summary>
    private void Begin(Shape shape)
    {
        if (_shape == shape) return;
        _shape = shape;
        _plain = [];
        _text?.Clear();
        _members.Clear();
        _items.Clear();
    }
}
