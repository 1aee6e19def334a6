using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Simulator.Replies;

/// <summary>
/// Puts JSON together in exactly the order and spelling it is told to: a fake server is only of use when its bytes are the real ones.
/// </summary>
internal sealed class JsonBuilder : IDisposable
{
    private readonly PooledBytes _bytes = new(512);

    public JsonBuilder Raw(ReadOnlySpan<byte> json)
    {
        _bytes.Write(json);
        return this;
    }

    public JsonBuilder Raw(string json) => Raw(Encoding.UTF8.GetBytes(json));

    /// <summary>A JSON string, or <c>null</c>. Chinese text and slashes are not escaped, as the real service does not.</summary>
    public JsonBuilder Text(string? value)
    {
        if (value is null) return Raw("null"u8);
        JsonText.WriteString(Encoding.UTF8.GetBytes(value), _bytes);
        return this;
    }

    public JsonBuilder Number(long value) => Raw(value.ToString());

    public byte[] ToArray() => _bytes.Span.ToArray();

    public override string ToString() => Encoding.UTF8.GetString(_bytes.Span);

    public void Dispose() => _bytes.Dispose();

    /// <summary>One string as JSON.</summary>
    public static string Quote(string value)
    {
        using JsonBuilder json = new();
        return json.Text(value).ToString();
    }
}
