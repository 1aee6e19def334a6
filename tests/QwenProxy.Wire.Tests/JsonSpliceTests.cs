using System.Text;

namespace QwenProxy.Wire.Tests;

public sealed class JsonSpliceTests
{
    [Fact]
    public void Edits_InAnyOrder_ChangeOnlyTheirPlaces()
    {
        byte[] json = Encoding.UTF8.GetBytes("{\"b\":2,\"a\":1.50}");
        JsonSplice splice = new();
        splice.Insert(json.Length - 1, ",\"c\":3"u8.ToArray());
        splice.Replace(new ByteRange(5, 1), "20"u8.ToArray());
        using PooledBytes output = new();
        splice.WriteTo(json, output);
        Assert.Equal("{\"b\":20,\"a\":1.50,\"c\":3}", Encoding.UTF8.GetString(output.Span));
        Assert.Equal(output.Length, json.Length + splice.Growth);
        Assert.Equal(output.Span.ToArray(), splice.Pieces(json).SelectMany(p => p.ToArray()));
    }

    [Fact]
    public void NoEdits_GiveTheSameBytes()
    {
        byte[] json = "{ }"u8.ToArray();
        using PooledBytes output = new();
        new JsonSplice().WriteTo(json, output);
        Assert.Equal(json, output.Span.ToArray());
    }
}
