using QwenProxy.Configuration;

namespace QwenProxy.Tests.Configuration;

public sealed class DatabaseSettingTests : IDisposable
{
    private const string Url = "postgres://proxy:hunter2@db.example.com/fleet";

    private static readonly string s_key = Convert.ToBase64String(Enumerable.Repeat((byte)7, 32).ToArray());

    private readonly ConfigFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void WithoutDatabase_ThereIsNone()
    {
        StorageSnapshot storage = _folder.LoadGood().Storage;
        Assert.Null(storage.Database);
        Assert.Null(storage.SecretKeys);
    }

    [Fact]
    public void Secrets_AreLiteralOrFromTheEnvironmentOrAFile_AndNeverShown()
    {
        _folder.Variables["DATABASE_URL"] = Url;
        _folder.Write("fleet.key", s_key + "\n");
        ConfigurationResult result = _folder.Load("""{ "storage": { "database": "env:DATABASE_URL", "secretKey": "file:fleet.key" } }""");
        Assert.Equal("db.example.com:5432/fleet", result.Snapshot!.Storage.Database!.Shown);
        Assert.NotNull(result.Snapshot.Storage.SecretKeys);
        Assert.All(result.Values.Where(v => v.Path is "storage.database" or "storage.secretKey"), v => Assert.Equal("***", v.Value));
        Assert.Equal(2, result.Values.Count(v => v.Path is "storage.database" or "storage.secretKey"));
        Assert.DoesNotContain("hunter2", string.Join(' ', result.Values), StringComparison.Ordinal);
        Assert.Equal("db.example.com:5432/fleet", _folder.LoadGood($$"""{ "storage": { "database": "{{Url}}" } }""").Storage.Database!.Shown);
    }

    [Fact]
    public void Variables_BeatTheFile()
    {
        _folder.Variables["QWEN_PROXY_DATABASE"] = "postgres://proxy@other.example.com/fleet";
        _folder.Variables["QWEN_PROXY_SECRET_KEY"] = s_key;
        ConfigurationResult result = _folder.Load($$"""{ "storage": { "database": "{{Url}}" } }""");
        Assert.Equal("other.example.com:5432/fleet", result.Snapshot!.Storage.Database!.Shown);
        Assert.NotNull(result.Snapshot.Storage.SecretKeys);
        Assert.Equal("environment QWEN_PROXY_DATABASE", Assert.Single(result.Values, v => v.Path == "storage.database").Origin);
    }

    [Theory]
    [InlineData("""{ "storage": { "database": "mysql://me:hunter2@db/x" } }""", "1:28: storage.database cannot be used: it does not begin with postgres://; it must be a PostgreSQL URL")]
    [InlineData("""{ "storage": { "database": 5 } }""", "1:28: storage.database is a number; it must be a text")]
    [InlineData("""{ "storage": { "database": "env:NOT_SET" } }""", "1:28: storage.database is to come from the environment variable NOT_SET, which is not set")]
    [InlineData("""{ "storage": { "secretKey": "aHVudGVyMg==" } }""", "1:29: storage.secretKey cannot be used: it is no such key; it must be 32 bytes in base64")]
    public void Faults_TellThePlaceAndTheReason_NotTheSecret(string file, string fault)
    {
        string said = _folder.OnlyFault(file);
        Assert.StartsWith(fault, said, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", said, StringComparison.Ordinal);
        Assert.DoesNotContain("aHVudGVyMg", said, StringComparison.Ordinal);
    }
}
