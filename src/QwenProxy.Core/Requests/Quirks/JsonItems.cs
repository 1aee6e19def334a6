using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>A piece of a container: a member with its name, or an array's item, as it stands or as it is to be.</summary>
internal abstract class JsonItem
{
    /// <summary>The text between the item before and this one in the source (a comma and white space); -1 for the first and for new ones.</summary>
    public int GapStart { get; init; } = -1;

    public int Start { get; init; } = -1;

    public abstract int Length { get; }

    public abstract void CopyTo(Span<byte> output);
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

    public void RemoveAll(Predicate<T> which)
    {
        if (_items.RemoveAll(which) > 0) Edits++;
    }

    /// <summary>
    /// The same pieces, or others, in a new order. One call for many moves: a list shifted piece by piece takes the square of its length.
    /// </summary>
    public void Rearrange(IReadOnlyList<T> items)
    {
        _items.Clear();
        _items.AddRange(items);
        Edits++;
    }

    public byte[] ToBytes()
    {
        byte[] bytes = new byte[Length];
        CopyTo(bytes);
        return bytes;
    }

    public int Length
    {
        get
        {
            int length = Lead + source.Length - Tail;
            for (int i = 0; i < _items.Count; i++) length += _items[i].Length + (i > 0 ? Gap(_items[i]).Length : 0);
            return length;
        }
    }

    public void CopyTo(Span<byte> output)
    {
        ReadOnlySpan<byte> text = source.Span;
        output = Copy(text[..Lead], output);
        for (int i = 0; i < _items.Count; i++)
        {
            if (i > 0) output = Copy(Gap(_items[i]), output);
            _items[i].CopyTo(output);
            output = output[_items[i].Length..];
        }

        Copy(text[Tail..], output);
    }

    protected void Load(T item) => _items.Add(item);

    private static Span<byte> Copy(ReadOnlySpan<byte> text, Span<byte> output)
    {
        text.CopyTo(output);
        return output[text.Length..];
    }

    private ReadOnlySpan<byte> Gap(T item) => item.GapStart >= 0 ? source.Span[item.GapStart..item.Start] : ","u8;
}

/// <summary>A member of an object: its head (name, colon and the white space around that) and its value.</summary>
internal sealed class JsonMember(ReadOnlyMemory<byte> head, int nameLength, ReadOnlyMemory<byte> value) : JsonItem
{
    private ReadOnlyMemory<byte> _head = head;
    private int _nameLength = nameLength;
    private MessageListDraft? _list;

    public ReadOnlyMemory<byte> Value { get; private set; } = value;

    public override int Length => _head.Length + (_list?.Length ?? Value.Length);

    public static JsonMember New(ReadOnlySpan<byte> name, ReadOnlyMemory<byte> value) =>
        new((byte[])[(byte)'"', .. name, .. "\":"u8], name.Length + 2, value);

    public bool NameIs(ReadOnlySpan<byte> name) => _nameLength == name.Length + 2 && _head.Span.Slice(1, name.Length).SequenceEqual(name);

    public void SetValue(ReadOnlyMemory<byte> value) => Value = value;

    /// <summary>The value is what the list will be when it is written, which spares a copy of a long conversation.</summary>
    public void SetValue(MessageListDraft list) => _list = list;

    public void Rename(ReadOnlySpan<byte> name)
    {
        _head = (byte[])[(byte)'"', .. name, (byte)'"', .. _head.Span[_nameLength..]];
        _nameLength = name.Length + 2;
    }

    public override void CopyTo(Span<byte> output)
    {
        _head.Span.CopyTo(output);
        if (_list is not null) _list.CopyTo(output[_head.Length..]);
        else Value.Span.CopyTo(output[_head.Length..]);
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
            ReadOnlyMemory<byte> head = json[name.Start..value.Start], whole = json[value.Start..value.End];
            draft.Load(new JsonMember(head, name.Length, whole) { GapStart = before, Start = name.Start });
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
            Insert(Items.Count, JsonMember.New(name, value.ToArray()));
            return;
        }

        if (member.Value.Span.SequenceEqual(value)) return;
        member.SetValue(value.ToArray());
        Edits++;
    }

    public void Remove(ReadOnlySpan<byte> name)
    {
        if (FindMember(name) is null) return;
        byte[] which = name.ToArray();
        RemoveAll(m => m.NameIs(which));
    }

    public void Rename(JsonMember member, ReadOnlySpan<byte> name)
    {
        member.Rename(name);
        Edits++;
    }
}
