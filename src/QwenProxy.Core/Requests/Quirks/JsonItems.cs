using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>A piece of a container: a member with its name, or an array's item, as it stands or as it is to be.</summary>
internal class JsonItem
{
    /// <summary>The text between the item before and this one in the source (a comma and white space); -1 for the first and for new ones.</summary>
    public int GapStart { get; init; } = -1;

    public int Start { get; init; } = -1;

    public ReadOnlyMemory<byte> Raw { get; protected set; }
}

/// <summary>
/// A JSON object or array as a list of its pieces. Written back, every piece that was not touched is the bytes it was, and so is the white space
/// between two pieces; only a removed piece takes its comma along.
/// </summary>
internal abstract class JsonItems<T>(ReadOnlyMemory<byte> source, int lead, int tail)
    where T : JsonItem
{
    private readonly List<T> _items = [];

    /// <summary>How often something was changed.</summary>
    public int Edits { get; protected set; }

    public IReadOnlyList<T> Items => _items;

    protected int Lead { get; set; } = lead;

    protected int Tail { get; set; } = tail;

    public void Insert(int index, T item)
    {
        _items.Insert(index, item);
        Edits++;
    }

    public void RemoveAt(int index)
    {
        _items.RemoveAt(index);
        Edits++;
    }

    public void Move(int from, int to)
    {
        if (from == to) return;
        T item = _items[from];
        _items.RemoveAt(from);
        _items.Insert(to, item);
        Edits++;
    }

    public byte[] ToBytes()
    {
        byte[] output = new byte[Length()];
        ReadOnlySpan<byte> text = source.Span;
        int at = Copy(text[..Lead], output, 0);
        for (int i = 0; i < _items.Count; i++)
        {
            if (i > 0) at = Copy(Gap(_items[i]), output, at);
            at = Copy(_items[i].Raw.Span, output, at);
        }

        Copy(text[Tail..], output, at);
        return output;
    }

    protected void Load(T item) => _items.Add(item);

    private static int Copy(ReadOnlySpan<byte> text, byte[] output, int at)
    {
        text.CopyTo(output.AsSpan(at));
        return at + text.Length;
    }

    private int Length()
    {
        int length = Lead + source.Length - Tail;
        for (int i = 0; i < _items.Count; i++) length += _items[i].Raw.Length + (i > 0 ? Gap(_items[i]).Length : 0);
        return length;
    }

    private ReadOnlySpan<byte> Gap(T item) => item.GapStart >= 0 ? source.Span[item.GapStart..item.Start] : ","u8;
}

/// <summary>A member of an object.</summary>
internal sealed class JsonMember : JsonItem
{
    private int _nameLength;
    private int _valueStart;

    public JsonMember(ReadOnlyMemory<byte> raw, int nameLength, int valueStart)
    {
        Raw = raw;
        _nameLength = nameLength;
        _valueStart = valueStart;
    }

    public JsonMember(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => Build(name, ":"u8, value);

    public ReadOnlyMemory<byte> Value => Raw[_valueStart..];

    public bool NameIs(ReadOnlySpan<byte> name) => _nameLength == name.Length + 2 && Raw.Span.Slice(1, name.Length).SequenceEqual(name);

    public void SetValue(ReadOnlySpan<byte> value) => Build(Raw.Span[1..(_nameLength - 1)], Raw.Span[_nameLength.._valueStart], value);

    public void Rename(ReadOnlySpan<byte> name) => Build(name, Raw.Span[_nameLength.._valueStart], Value.Span);

    private void Build(ReadOnlySpan<byte> name, ReadOnlySpan<byte> colon, ReadOnlySpan<byte> value)
    {
        byte[] raw = [(byte)'"', .. name, (byte)'"', .. colon, .. value];
        Raw = raw;
        _nameLength = name.Length + 2;
        _valueStart = _nameLength + colon.Length;
    }
}

/// <summary>An object whose members can be changed. Of several members with one name the last counts, as JSON readers do.</summary>
internal sealed class JsonObjectDraft : JsonItems<JsonMember>
{
    private JsonObjectDraft(ReadOnlyMemory<byte> source, int lead, int tail)
        : base(source, lead, tail)
    {
    }

    /// <summary>Reads the members of an object that starts at the first byte.</summary>
    public static JsonObjectDraft Read(ReadOnlyMemory<byte> json)
    {
        List<(ByteRange, ByteRange)> members = [];
        JsonScanner scanner = new(json.Span);
        while (scanner.MoveNext()) members.Add((scanner.Name, scanner.Value));
        return From(json, members);
    }

    /// <summary>Over members that were found before.</summary>
    public static JsonObjectDraft From(ReadOnlyMemory<byte> json, IReadOnlyList<(ByteRange Name, ByteRange Value)> members)
    {
        int open = JsonScanner.SkipSpace(json.Span, 0) + 1;
        JsonObjectDraft draft = new(json, open, open);
        int before = -1;
        foreach ((ByteRange name, ByteRange value) in members)
        {
            if (before < 0) draft.Lead = name.Start;
            ReadOnlyMemory<byte> raw = json[name.Start..value.End];
            draft.Load(new JsonMember(raw, name.Length, value.Start - name.Start) { GapStart = before, Start = name.Start });
            before = value.End;
        }

        if (before >= 0) draft.Tail = before;
        return draft;
    }

    /// <summary>The value; empty when there is none or it is null.</summary>
    public ReadOnlySpan<byte> Find(ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> value = FindMember(name) is { } member ? member.Value.Span : default;
        return JsonValue.IsNull(value) ? default : value;
    }

    public JsonMember? FindMember(ReadOnlySpan<byte> name)
    {
        for (int i = Items.Count - 1; i >= 0; i--)
        {
            if (Items[i].NameIs(name)) return Items[i];
        }

        return null;
    }

    public void Set(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (FindMember(name) is not { } member)
        {
            Insert(Items.Count, new JsonMember(name, value));
            return;
        }

        if (member.Value.Span.SequenceEqual(value)) return;
        member.SetValue(value);
        Edits++;
    }

    public void Remove(ReadOnlySpan<byte> name)
    {
        for (int i = Items.Count - 1; i >= 0; i--)
        {
            if (Items[i].NameIs(name)) RemoveAt(i);
        }
    }

    public void Rename(JsonMember member, ReadOnlySpan<byte> name)
    {
        member.Rename(name);
        Edits++;
    }
}
