using System.IO.Compression;
using QwenProxy.Core.Tokens;

namespace QwenProxy.Catalogue;

/// <summary>How many tokens a text has, before upstream counts: those of the Qwen3 tokenizer, whose data are read when they are first asked for.</summary>
internal sealed class TokenEstimate
{
    private const string DataResource = "qwen3-tokens.br";

    private readonly Lazy<QwenTokenizer> _tokenizer = new(Load);

    public int Count(ReadOnlySpan<byte> utf8) => _tokenizer.Value.Count(utf8);

    public static QwenTokenizer Load()
    {
        using Stream packed = typeof(TokenEstimate).Assembly.GetManifestResourceStream(DataResource)!;
        using BrotliStream unpacked = new(packed, CompressionMode.Decompress);
        using MemoryStream data = new(1 << 20);
        unpacked.CopyTo(data);
        return new QwenTokenizer(TokenData.Read(data.GetBuffer().AsSpan(0, (int)data.Length)));
    }
}
