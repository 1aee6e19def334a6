using System.Text;
using System.Text.Json;
using QwenProxy.Catalogue;
using QwenProxy.Core.Tokens;
using QwenProxy.Tests.Support;
using QwenProxy.Wire;

namespace QwenProxy.Tests.Catalogue;

/// <summary>Token for token what the reference tokenizer says; the ids in tests/golden/tokens are its own (tests/tokenizer/make.mjs).</summary>
public sealed class QwenTokenizerTests
{
    private static readonly QwenTokenizer s_tokenizer = TokenEstimate.Load();

    public static TheoryData<string> Names => [.. Golden().Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void GoldenText_HasTheReferencesIds(string name)
    {
        (_, byte[] text, int[] ids) = Golden().Single(c => c.Name == name);
        Assert.Equal(ids, s_tokenizer.Encode(text));
        Assert.Equal(ids.Length, s_tokenizer.Count(text));
    }

    [Fact]
    public void BytesThatAreNoUtf8_CountAsReplacementCharacters()
    {
        byte[][] broken = [[0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x98, 0x20], [0xE4, 0xB8, 0x3C, 0x7C], [0xC0, 0x80, 0xF5]];
        Assert.All(broken, bytes => Assert.Equal(s_tokenizer.Encode(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes))), s_tokenizer.Encode(bytes)));

        Random random = new(7);
        byte[] noise = new byte[3000];
        random.NextBytes(noise);
        Assert.Equal(s_tokenizer.Encode(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(noise))), s_tokenizer.Encode(noise));
    }

    /// <summary>A quadratic merge of these would take hours; what is held here is that they end at all and lose no byte's worth of tokens.</summary>
    [Theory]
    [InlineData("a", 8)]
    [InlineData("哈", 4)]
    [InlineData("e\u0301\u0323\u0301\u0323", 0)]
    [InlineData("<|", 0)]
    public void AMegabyteOfTheSame_IsCounted(string unit, int unitsPerToken)
    {
        int units = 1_000_000 / Encoding.UTF8.GetByteCount(unit);
        int count = s_tokenizer.Count(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(unit, units))));
        int cuts = 1_000_000 / PieceMerger.LongestPieceBytes;
        if (unitsPerToken > 0) Assert.InRange(count, units / unitsPerToken, (units / unitsPerToken) + (4 * cuts));
        else Assert.InRange(count, units, 10 * units);
    }

    [Fact]
    public void DataThatAreCutOff_AreRefused()
    {
        Assert.Throws<InvalidDataException>(() => TokenData.Read([]));
        Assert.Throws<InvalidDataException>(() => TokenData.Read(new byte[256]));
        Assert.Throws<InvalidDataException>(() => TokenData.Read(Enumerable.Repeat((byte)0x80, 300).ToArray()));
        // 256 ids, no special token, no merge, nothing that composes; then one number too many.
        byte[] least = new byte[256 + 5];
        Assert.NotNull(TokenData.Read(least));
        Assert.Throws<InvalidDataException>(() => TokenData.Read([.. least, 0]));
    }

    private static IEnumerable<(string Name, byte[] Text, int[] Ids)> Golden()
    {
        using JsonDocument file = JsonDocument.Parse(RepositoryFiles.Read("tests/golden/tokens/texts.json"));
        foreach (JsonElement one in file.RootElement.EnumerateArray())
        {
            // Not GetString: the texts hold lone surrogates, as clients' requests may.
            string spelling = one.GetProperty("text").GetRawText();
            using PooledBytes text = new();
            JsonText.Unescape(Encoding.ASCII.GetBytes(spelling[1..^1]), text);
            byte[] whole = [.. Enumerable.Repeat(text.Span.ToArray(), one.GetProperty("times").GetInt32()).SelectMany(b => b)];
            yield return (one.GetProperty("name").GetString()!, whole, [.. one.GetProperty("ids").EnumerateArray().SelectMany(Run)]);
        }
    }

    /// <summary>An id, or an id and how often it comes.</summary>
    private static IEnumerable<int> Run(JsonElement id) =>
        id.ValueKind == JsonValueKind.Number ? [id.GetInt32()] : Enumerable.Repeat(id[0].GetInt32(), id[1].GetInt32());
}
