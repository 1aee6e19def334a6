using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Tests.Configuration;

public sealed class SchemaTests : IDisposable
{
    private static readonly JsonDocumentOptions s_relaxed = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };
    internal static string Root { get; } = FindRoot();

    private readonly ConfigFolder _folder = new();
    private readonly JsonElement _schema = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "schema", "qwen-proxy.schema.json"))).RootElement;

    public void Dispose() => _folder.Dispose();

    private static string FindRoot()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "QwenProxy.slnx"))) folder = Path.GetDirectoryName(folder)!;
        return folder;
    }

    public static TheoryData<string> Samples =>
        [.. Directory.EnumerateFiles(Path.Combine(Root, "docs", "samples"), "*.json").Select(f => Path.GetFileName(f))];

    [Theory]
    [MemberData(nameof(Samples))]
    public void Sample_PassesSchemaAndLoader(string sample)
    {
        string text = File.ReadAllText(Path.Combine(Root, "docs", "samples", sample));
        using JsonDocument document = JsonDocument.Parse(text, s_relaxed);
        Assert.Empty(new MiniSchema(_schema).Check(document.RootElement));
        foreach (string name in new[] { "PLAN_KEY", "ALICE_KEY", "TEAM_KEY", "TEAM_TOKEN", "BUILD_KEY" })
            _folder.Variables[name] = "value-of-" + name;
        _folder.Variables["DATABASE_URL"] = "postgres://proxy:secret@db.example.com/fleet";
        _folder.Variables["FLEET_KEY"] = Convert.ToBase64String(new byte[32]);
        Directory.CreateDirectory(Path.Combine(_folder.Home, ".secrets"));
        File.WriteAllText(Path.Combine(_folder.Home, ".secrets", "ds"), "key\n");
        Assert.NotEmpty(_folder.LoadGood(text).Accounts);
    }

    [Fact]
    public void SampleOfEverything_HoldsEveryKeyOfTheSchema()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "docs", "samples", "everything.json")), s_relaxed);
        HashSet<string> written = [.. PathsOf(document.RootElement, "")];
        Assert.Superset(KeysOf(_schema, "").ToHashSet(), written);
    }

    [Fact]
    public void SchemaAndLoader_KnowTheSameKeys()
    {
        HashSet<string> loader =
        [
            .. ConfigurationLoader.RootKeys,
            .. SettingTable.All.Select(s => s.Path),
            .. AccountReader.Keys.Select(k => "accounts[]." + k),
            .. QuotaReader.Keys.Select(k => "accounts[].quota." + k),
            .. QuotaReader.WindowKeys.Select(k => "accounts[].quota.windows[]." + k),
            .. QuotaReader.ReserveKeys.Select(k => "accounts[].quota.reserve." + k),
            .. ClientReader.Keys.Select(k => "clients[]." + k),
            .. ModelsReader.Keys.Select(k => "models." + k),
        ];
        Assert.Equal(loader.Order(StringComparer.Ordinal), KeysOf(_schema, "").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void DefaultsOfTheSchema_AreThoseOfTheProgram()
    {
        ConfigurationResult result = _folder.Load();
        foreach (EffectiveValue value in result.Values)
        {
            JsonElement node = Property(value.Path);
            if (node.TryGetProperty("default", out JsonElement shown))
                Assert.Equal((value.Path, shown.ToString().ToLowerInvariant()), (value.Path, value.Value));
            else Assert.StartsWith("storage.", value.Path, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ProfilesOfTheSchema_AreThoseOfTheCatalogue()
    {
        JsonElement names = _schema.GetProperty("$defs").GetProperty("account").GetProperty("properties").GetProperty("profile").GetProperty("enum");
        Assert.Equal(Profiles.All.Select(p => p.Name), names.EnumerateArray().Select(n => n.GetString()));
    }

    [Theory]
    [InlineData("""{ "prot": 1 }""")]
    [InlineData("""{ "port": 65536 }""")]
    [InlineData("""{ "port": "1" }""")]
    [InlineData("""{ "timeouts": { "idleSeconds": 0 } }""")]
    [InlineData("""{ "timeouts": { "firstTokenSeconds": "soon" } }""")]
    [InlineData("""{ "repair": { "stutter": "on" } }""")]
    [InlineData("""{ "accounts": [ { "baseUrl": "http://h" } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a/b", "baseUrl": "http://h" } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseUrl": "http://h", "profile": "x" } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseUrl": "http://h", "quota": { "windows": [ { "counts": "calls", "per": "day" } ] } } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseUrl": "http://h", "quota": { "windows": [ { "counts": "tokens", "per": "year" } ] } } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseUrl": "http://h", "quota": { "windows": [ { "per": "day" } ] } } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseUrl": "http://h", "quota": { "windows": [], "reserve": { "clients": ["b"] } } } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseUrl": "http://h", "quota": { "windows": [], "credits": { "m": { "input": -1, "output": 1 } } } } ] }""")]
    [InlineData("""{ "clients": [ { "name": "a" } ] }""")]
    [InlineData("""{ "models": { "fallbacks": { "a": "b" } } }""")]
    [InlineData("""{ "quirks": { "a": true } }""")]
    [InlineData("""{ "retry": { "maxAttempts": 1.5 } }""")]
    public void BadFile_IsRefusedByBoth(string file)
    {
        using JsonDocument document = JsonDocument.Parse(file);
        Assert.NotEmpty(new MiniSchema(_schema).Check(document.RootElement));
        Assert.NotEmpty(_folder.Load(file).Faults);
    }

    [Fact]
    public async Task SchemaInTheProgram_IsTheShippedOne()
    {
        string shipped = await File.ReadAllTextAsync(Path.Combine(Root, "schema", "qwen-proxy.schema.json"), TestContext.Current.CancellationToken);
        Assert.Equal(shipped, await ConfigCommand.ReadSchemaAsync(TestContext.Current.CancellationToken));
    }

    private JsonElement Property(string path)
    {
        JsonElement node = _schema;
        foreach (string key in path.Split('.')) node = node.GetProperty("properties").GetProperty(key);
        return node;
    }

    /// <summary>Every key that the schema names; a list's elements are written <c>[]</c>.</summary>
    private IEnumerable<string> KeysOf(JsonElement node, string path)
    {
        if (node.TryGetProperty("$ref", out JsonElement target))
            node = _schema.GetProperty("$defs").GetProperty(target.GetString()!["#/$defs/".Length..]);
        if (node.TryGetProperty("items", out JsonElement items))
        {
            foreach (string key in KeysOf(items, path + "[]")) yield return key;
        }

        if (!node.TryGetProperty("properties", out JsonElement properties)) yield break;
        foreach (JsonProperty property in properties.EnumerateObject())
        {
            string key = path.Length == 0 ? property.Name : path + "." + property.Name;
            yield return key;
            foreach (string below in KeysOf(property.Value, key)) yield return below;
        }
    }

    private static IEnumerable<string> PathsOf(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.Array) return value.EnumerateArray().SelectMany(item => PathsOf(item, path + "[]"));
        if (value.ValueKind != JsonValueKind.Object) return [];
        return value.EnumerateObject().SelectMany(member =>
        {
            string key = path.Length == 0 ? member.Name : path + "." + member.Name;
            return PathsOf(member.Value, key).Prepend(key);
        });
    }
}
