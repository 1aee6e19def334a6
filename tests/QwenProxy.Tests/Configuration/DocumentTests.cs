using QwenProxy.Configuration;

namespace QwenProxy.Tests.Configuration;

public sealed class DocumentTests
{
    [Fact]
    public void TableOfPlainValues_HasEachKeyWithItsDefaultAndVariable()
    {
        using ConfigFolder folder = new();
        string[] rows = File.ReadAllLines(Path.Combine(SchemaTests.Root, "docs", "configuration.md"));
        foreach (EffectiveValue value in folder.Load().Values)
        {
            string[] cells =
                Assert.Single(rows, r => r.StartsWith($"| `{value.Path}` |", StringComparison.Ordinal)).Split('|', StringSplitOptions.TrimEntries);
            if (!value.Path.StartsWith("storage.", StringComparison.Ordinal) || value.Path == "storage.logFile") Assert.Equal(value.Value, cells[2]);
            string variable = SettingTable.All.Single(s => s.Path == value.Path).Variable ?? "";
            Assert.Equal(variable, cells[3].Trim('`'));
        }
    }

    [Fact]
    public void EveryKeyOfAnAccountAndARoot_IsExplained()
    {
        string text = File.ReadAllText(Path.Combine(SchemaTests.Root, "docs", "configuration.md"));
        IEnumerable<string> words =
            [.. AccountReader.Keys, .. ClientReader.Keys, .. ModelsReader.Keys, "quirks", "allowedOAuthHosts", ClientReader.Variable];
        Assert.All(words, word => Assert.Contains(word, text, StringComparison.Ordinal));
    }
}
