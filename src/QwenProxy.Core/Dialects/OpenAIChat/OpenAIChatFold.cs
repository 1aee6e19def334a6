using System.Buffers;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>
/// Folds a stream of chunks into the whole answer a non-streaming client expects. Fields it does not know are kept: of the top level the last
/// value that is not null; of a choice and its message every member that came in pieces is put together (see <see cref="PiecedValue"/>).
/// </summary>
public sealed class OpenAIChatFold : IEventSink, IDisposable
{
    private readonly List<TopMember> _top = [];
    private readonly SortedDictionary<int, ChoiceFold> _choices = [];
    private readonly List<ByteRange> _chunks = [];
    private readonly ChunkRenderer _renderer = new();
    private PooledBytes? _rendered;

    /// <summary>Bytes of text and arguments gathered so far.</summary>
    public long GatheredBytes { get; private set; }

    public void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind != EventKind.Chunk) return;
        GatheredBytes += chatEvent.Data.Length;
        if (!chatEvent.Edited)
        {
            AddChunk(chatEvent.Data.Span);
            return;
        }

        foreach (ref readonly EventPart part in chatEvent.Parts)
        {
            if (part.Kind == PartKind.Withdrawal && _choices.TryGetValue(part.Choice, out ChoiceFold? choice)) choice.WithdrawContent();
        }

        _rendered ??= new PooledBytes();
        _rendered.Clear();
        _chunks.Clear();
        _renderer.Render(chatEvent, _rendered, _chunks);
        foreach (ByteRange chunk in _chunks) AddChunk(chunk.In(_rendered.Span));
    }

    /// <summary>The <c>chat.completion</c> object.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        bool wroteChoices = false;
        output.Write("{"u8);
        bool first = true;
        foreach (TopMember member in _top)
        {
            if (!first) output.Write(","u8);
            first = false;
            PiecedValue.WriteName(output, member.Name);
            if (member.IsChoices) WriteChoices(output);
            else output.Write(member.Value);
            wroteChoices |= member.IsChoices;
        }

        if (!wroteChoices)
        {
            output.Write(first ? "\"choices\":"u8 : ",\"choices\":"u8);
            WriteChoices(output);
        }

        output.Write("}"u8);
    }

    public void Dispose()
    {
        _rendered?.Dispose();
        foreach (ChoiceFold choice in _choices.Values) choice.Dispose();
    }

    private void AddChunk(ReadOnlySpan<byte> json)
    {
        JsonScanner scanner = new(json);
        while (scanner.MoveNext())
        {
            ReadOnlySpan<byte> value = scanner.Value.In(json);
            ReadOnlySpan<byte> name = json[(scanner.Name.Start + 1)..(scanner.Name.End - 1)];
            TopMember member = Member(name);
            if (member.IsChoices) AddChoices(value);
            else member.Set(name.SequenceEqual("object"u8) ? "\"chat.completion\""u8 : value);
        }
    }

    private void AddChoices(ReadOnlySpan<byte> array)
    {
        JsonScanner items = new(array);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> item = items.Value.In(array);
            int index = ReadIndex(item) ?? 0;
            if (!_choices.TryGetValue(index, out ChoiceFold? choice)) _choices.Add(index, choice = new ChoiceFold(index));
            choice.Add(item);
        }
    }

    internal static int? ReadIndex(ReadOnlySpan<byte> item)
    {
        JsonScanner members = new(item);
        while (members.MoveNext())
        {
            if (members.NameIs("index"u8) && System.Buffers.Text.Utf8Parser.TryParse(members.Value.In(item), out int index, out _)) return index;
        }

        return null;
    }

    private TopMember Member(ReadOnlySpan<byte> name)
    {
        foreach (TopMember known in _top)
        {
            if (name.SequenceEqual(known.Name)) return known;
        }

        TopMember member = new(name.ToArray());
        _top.Add(member);
        return member;
    }

    private void WriteChoices(IBufferWriter<byte> output)
    {
        output.Write("["u8);
        bool first = true;
        foreach (ChoiceFold choice in _choices.Values)
        {
            if (!first) output.Write(","u8);
            first = false;
            choice.WriteTo(output);
        }

        output.Write("]"u8);
    }

    /// <summary>A member of the whole answer, its name as it is spelt in JSON without quotes. Most events repeat what the one before said.</summary>
    private sealed class TopMember(byte[] name)
    {
        private byte[] _value = [];
        private int _length;

        public byte[] Name => name;

        public bool IsChoices { get; } = name.AsSpan().SequenceEqual("choices"u8);

        public ReadOnlySpan<byte> Value => _value.AsSpan(0, _length);

        /// <summary>A later null does not wipe out an earlier value.</summary>
        public void Set(ReadOnlySpan<byte> value)
        {
            if (_length > 0 && (value.SequenceEqual("null"u8) || value.SequenceEqual(Value))) return;
            if (_value.Length < value.Length) _value = new byte[value.Length];
            value.CopyTo(_value);
            _length = value.Length;
        }
    }
}
