using System.Text.Json;
using System.Text.Json.Nodes;
using QwenProxy.Console.Setup;

namespace QwenProxy.Tests.Console.Setup;

public sealed class SettingsTextTests
{
    private static readonly SettingWish s_top = new(["top"], "\"new\"");
    private static readonly SettingWish s_deep = new(["a", "b"], "\"new\"");
    private static readonly SettingWish s_item = new(["list", "mine", "key"], "\"new\"");

    public static TheoryData<string, string> JsonTop => new()
    {
        { "", "{\n  \"top\": \"new\"\n}\n" },
        { " \n", "{\n  \"top\": \"new\"\n}\n" },
        { "{}", "{\n  \"top\": \"new\"\n}" },
        { "{ // why\n}", "{ // why\n  \"top\": \"new\"\n}" },
        { "{ /* why */ }", "{ /* why */\n  \"top\": \"new\"\n }" },
        { "{\"x\":1}", "{\"x\":1, \"top\": \"new\"}" },
        { "{\"x\":1,}", "{\"x\":1, \"top\": \"new\"}" },
        { "{\n  \"x\": [\n    1 ] }", "{\n  \"x\": [\n    1 ],\n  \"top\": \"new\"\n }" },
        { "{\n\t\"x\": 1, // last, with comma\n}\n", "{\n\t\"x\": 1, // last, with comma\n\t\"top\": \"new\"\n}\n" },
        { "{\n\t\"x\": 1 // last, no comma\n\t// end\n}\n", "{\n\t\"x\": 1, // last, no comma\n\t// end\n\t\"top\": \"new\"\n}\n" },
        { "{\r\n    \"top\" : 5 /* was */ ,\r\n    \"渡\": 1\r\n}", "{\r\n    \"top\" : \"new\" /* was */ ,\r\n    \"渡\": 1\r\n}" },
        { "{\"top\": 1, \"top\": {\"x\": 2}}", "{\"top\": 1, \"top\": \"new\"}" },
        { "{\"t\\u006fp\": 1}", "{\"t\\u006fp\": \"new\"}" },
        { "{\"top\": \"n\\u0065w\"}", "{\"top\": \"n\\u0065w\"}" },
    };

    public static TheoryData<string, string> TomlDeep => new()
    {
        { "", "[a]\nb = \"new\"\n" },
        { "x = 1", "x = 1\n\n[a]\nb = \"new\"\n" },
        { "[a]", "[a]\nb = \"new\"\n" },
        { "[ a ] # why\r\n[c]\r\n", "[ a ] # why\r\nb = \"new\"\r\n[c]\r\n" },
        { "[\"a\"]\nx = 1 # 渡\n\n[c]\n", "[\"a\"]\nx = 1 # 渡\nb = \"new\"\n\n[c]\n" },
        { "a.b = '''old\nlines''' # why\n", "a.b = \"new\" # why\n" },
        { "[a.sub]\nx = \"\"\"\n[a]\nb = 1\"\"\"\n", "[a.sub]\nx = \"\"\"\n[a]\nb = 1\"\"\"\n\n[a]\nb = \"new\"\n" },
        { "[[list]]\nb = 1\n[a]\nb = { c = [1, 2] } # why", "[[list]]\nb = 1\n[a]\nb = \"new\" # why" },
    };

    public static TheoryData<string, string> TomlTop => new()
    {
        { "", "top = \"new\"\n" },
        { "# head\n[a]\ntop = 1\n", "top = \"new\"\n\n# head\n[a]\ntop = 1\n" },
        { "x = [\n  1, # one\n]\n[a]\n", "x = [\n  1, # one\n]\ntop = \"new\"\n[a]\n" },
        { "x = \"渡\"", "x = \"渡\"\ntop = \"new\"\n" },
    };

    public static TheoryData<string, string> YamlItem => new()
    {
        { "", "list:\n  - name: \"mine\"\n    key: \"new\"\n" },
        { "# only this\n", "# only this\nlist:\n  - name: \"mine\"\n    key: \"new\"\n" },
        { "list:\nx: 1\n", "list:\n  - name: \"mine\"\n    key: \"new\"\nx: 1\n" },
        { "list: [] # none\nx: 1\n", "list:\n  - name: \"mine\" # none\n    key: \"new\"\nx: 1\n" },
        { "list:\n- name: other # 渡\n  x: 1\n", "list:\n- name: \"mine\"\n  key: \"new\"\n- name: other # 渡\n  x: 1\n" },
        { "list:\n    -   name: mine\n        deep:\n          - 1\n    # end\nx: 1\n", "list:\n    -   name: mine\n        key: \"new\"\n        deep:\n          - 1\n    # end\nx: 1\n" },
        { "list:\n  - key: 'old' # was\n    name: mine\n", "list:\n  - key: \"new\" # was\n    name: mine\n" },
        { "list:\n  - name: mine\n    key:\n", "list:\n  - name: mine\n    key: \"new\"\n" },
        { "x: |\n  list:\n    - name: mine\n", "x: |\n  list:\n    - name: mine\nlist:\n  - name: \"mine\"\n    key: \"new\"\n" },
    };

    [Theory]
    [MemberData(nameof(JsonTop))]
    public void Json_IsEditedInPlace(string before, string after) => Assert.Equal(after, SettingsText.Apply(SettingsFormat.Json, before, [s_top]));

    [Theory]
    [MemberData(nameof(TomlDeep))]
    public void TomlTable_IsEditedInPlace(string before, string after) => Assert.Equal(after, SettingsText.Apply(SettingsFormat.Toml, before, [s_deep]));

    [Theory]
    [MemberData(nameof(TomlTop))]
    public void TomlRoot_IsEditedInPlace(string before, string after) => Assert.Equal(after, SettingsText.Apply(SettingsFormat.Toml, before, [s_top]));

    [Theory]
    [MemberData(nameof(YamlItem))]
    public void YamlList_IsEditedInPlace(string before, string after) => Assert.Equal(after, SettingsText.Apply(SettingsFormat.Yaml, before, [s_item]));

    [Theory]
    [InlineData(SettingsFormat.Json, "{\"top\": 1}")]
    [InlineData(SettingsFormat.Toml, "top = 1\n")]
    [InlineData(SettingsFormat.Yaml, "top: 1\n")]
    internal void WishOnlyIfMissing_LeavesWhatIsThere(SettingsFormat format, string text) =>
        Assert.Equal(text, SettingsText.Apply(format, text, [s_top with { OnlyIfMissing = true }]));

    /// <summary>Whatever the layout, the parsed result is the parsed original with the wish put in, and every comment is still there.</summary>
    [Fact]
    public void RandomJson_HasTheWishAndAllItHadBefore()
    {
        for (int seed = 0; seed < 2000; seed++)
        {
            Random random = new(seed);
            int comments = 0;
            string text = RandomObject(random, 0, ref comments);
            JsonNode expected = Parse(text);
            if (expected.AsObject().TryGetPropertyValue("a", out JsonNode? a) && a is not JsonObject) continue;

            // A note inside a value that is replaced goes with it.
            if (expected["top"] is JsonObject || expected["a"]?["b"] is JsonObject) comments = 0;
            string after = SettingsText.Apply(SettingsFormat.Json, text, [s_top, s_deep]);
            expected["top"] = "new";
            if (expected["a"] is null) expected["a"] = new JsonObject();
            expected["a"]!["b"] = "new";
            Assert.True(JsonNode.DeepEquals(expected, Parse(after)), $"seed {seed}:\n{text}\n→\n{after}");
            for (int i = 0; i < comments; i++) Assert.Contains($"note {i};", after, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("{\"apiKey\": \"s3cret, \\\" x\"}", "{\"apiKey\": \"***\"}")]
    [InlineData("openai-api-key: s3cret # mine", "openai-api-key: *** # mine")]
    [InlineData("experimental_bearer_token = 's3cret x'", "experimental_bearer_token = '***'")]
    [InlineData("\"ANTHROPIC_AUTH_TOKEN\": \"qwen-proxy\"", "\"ANTHROPIC_AUTH_TOKEN\": \"qwen-proxy\"")]
    [InlineData("\"tokenSource\": \"manual\"", "\"tokenSource\": \"manual\"")]
    [InlineData("http_headers = { Authorization = \"Bearer s3cret\" }", "http_headers = { Authorization = \"***\" }")]
    public void SecretsInADifference_AreHidden(string line, string shown) => Assert.Equal(shown, TextDifference.Mask(line));

    [Fact]
    public void Difference_NamesLinesThatWentAndCame() => Assert.Equal(
        ["@@ line 2 @@", "-b", "+x", "@@ line 4 @@", "+d"], TextDifference.Of("a\nb\nc\n", "a\nx\nc\nd\n"));

    private static JsonNode Parse(string text) =>
        JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip })!;

    private static string RandomObject(Random random, int depth, ref int comments)
    {
        string[] names = [.. new[] { "top", "a", "b", "渡", "x y", "c" }.OrderBy(_ => random.Next()).Take(random.Next(5))];
        string text = "{" + Gap(random, ref comments);
        for (int i = 0; i < names.Length; i++)
        {
            string[] plain = ["1", "\"é, // no\"", "null", "[1, {\"b\": 2}]", "true"];
            string value = depth < 3 && random.Next(2) == 0 ? RandomObject(random, depth + 1, ref comments) : plain[random.Next(plain.Length)];
            text += $"\"{names[i]}\":{Gap(random, ref comments)}{value}{Gap(random, ref comments)}";
            if (i < names.Length - 1 || random.Next(4) == 0) text += "," + Gap(random, ref comments);
        }

        return text + "}";
    }

    private static string Gap(Random random, ref int comments) => random.Next(7) switch
    {
        0 => " ",
        1 => "\n  ",
        2 => "\r\n\t",
        3 => $" // note {comments++}; {{ , \"\n",
        4 => $"/* note {comments++}; }} , */",
        _ => "",
    };
}
