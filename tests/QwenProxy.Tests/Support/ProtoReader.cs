using System.Buffers.Binary;
using System.Text;

namespace QwenProxy.Tests.Support;

/// <summary>Reads protobuf's wire format without a schema: the fields of one message, by number.</summary>
internal sealed class ProtoReader
{
    private readonly List<(int Field, ulong Number, ReadOnlyMemory<byte> Bytes)> _fields = [];

    public ProtoReader(ReadOnlyMemory<byte> message)
    {
        while (!message.IsEmpty)
        {
            ulong key = Varint(ref message);
            (int field, int type) = ((int)(key >> 3), (int)(key & 7));
            switch (type)
            {
                case 0: _fields.Add((field, Varint(ref message), default)); break;
                case 1: _fields.Add((field, BinaryPrimitives.ReadUInt64LittleEndian(Take(ref message, 8).Span), default)); break;
                case 2: _fields.Add((field, 0, Take(ref message, (int)Varint(ref message)))); break;
                case 5: _fields.Add((field, BinaryPrimitives.ReadUInt32LittleEndian(Take(ref message, 4).Span), default)); break;
                default: throw new InvalidDataException($"Field {field} has the unknown wire type {type}.");
            }
        }
    }

    public IEnumerable<ProtoReader> Messages(int field) => _fields.Where(f => f.Field == field).Select(f => new ProtoReader(f.Bytes));

    public bool Has(int field) => _fields.Exists(f => f.Field == field);

    public string Text(int field) => Encoding.UTF8.GetString(Bytes(field).Span);

    public string Hex(int field) => Convert.ToHexStringLower(Bytes(field).Span);

    public ulong Number(int field) => _fields.LastOrDefault(f => f.Field == field).Number;

    private ReadOnlyMemory<byte> Bytes(int field) => _fields.LastOrDefault(f => f.Field == field).Bytes;

    private static ulong Varint(ref ReadOnlyMemory<byte> from)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = Take(ref from, 1).Span[0];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80) return value;
        }
    }

    private static ReadOnlyMemory<byte> Take(ref ReadOnlyMemory<byte> from, int count)
    {
        ReadOnlyMemory<byte> taken = from[..count];
        from = from[count..];
        return taken;
    }
}
