using System.Text;

namespace QwenProxy.Wire.Tests;

public sealed class JsonScannerTests
{
    [Fact]
    public void Object_GivesItsMembersInOrder()
    {
        List<string> seen = Walk(" { \"a\" : 1 , \"b\":{\"c\":[1,2,{\"d\":\"}\"}]}, \"e\\\"f\": \"x\\\\\" ,\"g\":null} ", out bool failed, out bool atEnd);
        Assert.Equal(["\"a\"=1", "\"b\"={\"c\":[1,2,{\"d\":\"}\"}]}", "\"e\\\"f\"=\"x\\\\\"", "\"g\"=null"], seen);
        Assert.False(failed);
        Assert.True(atEnd);
    }

    [Theory]
    [InlineData("{\"a\":1,\"b\":{\"a\":2},\"a\":[3]}", "[3]")]
    [InlineData("{\"b\":{\"a\":2}}", "")]
    [InlineData("[\"a\"]", "")]
    [InlineData("", "")]
    public void Find_GivesTheLastMemberOfThatName(string json, string value)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(json);
        Assert.Equal(value, System.Text.Encoding.UTF8.GetString(JsonScanner.Find(bytes, "a"u8).In(bytes)));
    }

    [Fact]
    public void Array_GivesItsItems() => Assert.Equal(["=1", "=\"two\"", "=[3]", "={}"], Walk("[1,\"two\",[3],{}]", out _, out _));

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"a\":-1.5e+10}")]
    [InlineData("{\"a\":true,\"b\":false}")]
    public void ValidText_IsWalkedToItsEnd(string json)
    {
        Walk(json, out bool failed, out bool atEnd);
        Assert.False(failed);
        Assert.True(atEnd);
    }

    [Theory]
    [InlineData("")]
    [InlineData("text")]
    [InlineData("{")]
    [InlineData("{\"a\"")]
    [InlineData("{\"a\":")]
    [InlineData("{\"a\":1")]
    [InlineData("{\"a\":1,}")]
    [InlineData("{\"a\":1 \"b\":2}")]
    [InlineData("{\"a\":\"open}")]
    [InlineData("{\"a\":[1}")]
    [InlineData("{\"a\":{]}")]
    [InlineData("{\"a\":01}")]
    [InlineData("{\"a\":1.}")]
    [InlineData("{\"a\":nul}")]
    [InlineData("{\"a\":truely}")]
    [InlineData("{a:1}")]
    [InlineData("{\"a\":\"x\\")]
    public void BrokenText_Fails(string json)
    {
        Walk(json, out bool failed, out _);
        Assert.True(failed);
    }

    [Theory]
    [InlineData("{} x")]
    [InlineData("{}{}")]
    [InlineData("[1]]")]
    public void TextAfterTheEnd_IsNotAtEnd(string json)
    {
        Walk(json, out bool failed, out bool atEnd);
        Assert.False(failed);
        Assert.False(atEnd);
    }

    [Fact]
    public void DeepNesting_EndsInAFaultNotInACrash()
    {
        string deep = new string('[', 100_000) + new string(']', 100_000);
        Walk(deep, out bool failed, out _);
        Assert.True(failed);
    }

    [Fact]
    public void EveryPrefixOfValidText_IsNoWholeText()
    {
        byte[] json = Encoding.UTF8.GetBytes("{\"model\":\"q\",\"messages\":[{\"role\":\"user\",\"content\":\"h\\\"i {\"}],\"n\":1.5e3}");
        for (int length = 0; length < json.Length; length++)
        {
            JsonScanner scanner = new(json.AsSpan(0, length));
            while (scanner.MoveNext())
            {
            }

            Assert.True(scanner.Failed, $"The prefix of {length} bytes passed for a whole text.");
        }
    }

    private static List<string> Walk(string text, out bool failed, out bool atEnd)
    {
        byte[] json = Encoding.UTF8.GetBytes(text);
        List<string> seen = [];
        JsonScanner scanner = new(json);
        while (scanner.MoveNext()) seen.Add($"{Encoding.UTF8.GetString(scanner.Name.In(json))}={Encoding.UTF8.GetString(scanner.Value.In(json))}");
        failed = scanner.Failed;
        atEnd = scanner.AtEnd();
        return seen;
    }
}
