using System.Text;
using System.Text.Json;

namespace QwenProxy.Wire.Tests;

public sealed class JsonTextTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a\\nb\\tc\\rd\\be\\ff", "a\nb\tc\rd\be\ff")]
    [InlineData("\\\"\\\\\\/", "\"\\/")]
    [InlineData("\\u0041\\u00e9\\u4f60", "Aé你")]
    [InlineData("\\ud83d\\ude42", "🙂")]
    [InlineData("\\ud83d", "\uFFFD")]
    [InlineData("\\ude42x", "\uFFFDx")]
    [InlineData("\\ud83dx\\ude42", "\uFFFDx\uFFFD")]
    public void Unescape_GivesPlainText(string inside, string plain)
    {
        using PooledBytes bytes = new();
        JsonText.Unescape(Encoding.UTF8.GetBytes(inside), bytes);
        Assert.Equal(plain, Encoding.UTF8.GetString(bytes.Span));
    }

    [Theory]
    [InlineData("")]
    [InlineData("plain text / with slash")]
    [InlineData("你好，世界 🙂")]
    [InlineData("quote \" backslash \\ control \u0001\u001f newline \n tab \t")]
    public void WriteString_IsReadBackAsItWas(string text)
    {
        using PooledBytes bytes = new();
        JsonText.WriteString(Encoding.UTF8.GetBytes(text), bytes);
        Assert.Equal(bytes.Span.ToArray(), JsonText.Quote(text));
        Utf8JsonReader reader = new(bytes.Span);
        Assert.True(reader.Read());
        Assert.Equal(text, reader.GetString());
    }

    [Fact]
    public void WriteString_LeavesChineseAndSlashesAsTheyAre()
    {
        using PooledBytes bytes = new();
        JsonText.WriteString(Encoding.UTF8.GetBytes("a/你好"), bytes);
        Assert.Equal("\"a/你好\"", Encoding.UTF8.GetString(bytes.Span));
    }
}
