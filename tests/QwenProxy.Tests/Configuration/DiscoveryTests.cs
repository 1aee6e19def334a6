using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Tests.Configuration;

public sealed class DiscoveryTests : IDisposable
{
    private readonly ConfigFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void KeyAndAddress_GiveTheAccountEnvWhichTakesAnyModel()
    {
        _folder.Variables["QWEN_API_KEY"] = "sk-1";
        _folder.Variables["QWEN_BASE_URL"] = "http://127.0.0.1:8000/v1/chat/completions/";
        AccountSnapshot account = Assert.Single(_folder.LoadGood().Accounts);
        Assert.Equal(("env", "http://127.0.0.1:8000/v1", "vllm", true),
            (account.Name, account.BaseUrl!.AbsoluteUri, account.Profile.Name, account.AcceptsAnyModel));
        Assert.Equal("sk-1", account.ApiKey!.Reveal());
    }

    [Fact]
    public void AddressAlone_GivesAnAccountWithoutKey()
    {
        _folder.Variables["QWEN_BASE_URL"] = "http://127.0.0.1:11434/v1";
        Assert.Null(Assert.Single(_folder.LoadGood().Accounts).ApiKey);
    }

    [Theory]
    [InlineData("DASHSCOPE", null, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("DASHSCOPE", "cn", "https://dashscope.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("DASHSCOPE", "us", "https://dashscope-us.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("DASHSCOPE", "hk", "https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("BAILIAN_CODING_PLAN", null, "https://coding-intl.dashscope.aliyuncs.com/v1", "coding-plan")]
    [InlineData("BAILIAN_CODING_PLAN", "cn", "https://coding.dashscope.aliyuncs.com/v1", "coding-plan")]
    [InlineData("BAILIAN_TOKEN_PLAN", null, "https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1", "token-plan")]
    [InlineData("BAILIAN_TOKEN_PLAN", "cn", "https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", "token-plan")]
    public void PlanKey_GivesAnAccountInItsRegion(string prefix, string? region, string url, string name)
    {
        _folder.Variables[prefix + "_API_KEY"] = "sk-sp-1";
        if (region is not null) _folder.Variables[prefix + "_REGION"] = region;
        AccountSnapshot account = Assert.Single(_folder.LoadGood().Accounts);
        Assert.Equal((name, url, name, false), (account.Name, account.BaseUrl!.AbsoluteUri, account.Profile.Name, account.AcceptsAnyModel));
        Assert.Equal("sk-sp-1", account.ApiKey!.Reveal());
    }

    [Theory]
    [InlineData("DASHSCOPE")]
    [InlineData("BAILIAN_CODING_PLAN")]
    [InlineData("BAILIAN_TOKEN_PLAN")]
    public void PlanAddress_OverridesTheRegionAndKeepsTheProfile(string prefix)
    {
        _folder.Variables[prefix + "_API_KEY"] = "k";
        _folder.Variables[prefix + "_REGION"] = "cn";
        _folder.Variables[prefix + "_BASE_URL"] = "http://127.0.0.1:5000/v1/";
        AccountSnapshot account = Assert.Single(_folder.LoadGood().Accounts);
        Assert.Equal("http://127.0.0.1:5000/v1", account.BaseUrl!.AbsoluteUri);
        Assert.Equal(account.Name, account.Profile.Name);
    }

    [Fact]
    public void CredentialsFiles_FollowTheVariablesInOrder()
    {
        _folder.Variables["DASHSCOPE_API_KEY"] = "k1";
        _folder.Variables["BAILIAN_CODING_PLAN_API_KEY"] = "k2";
        _folder.Variables["BAILIAN_TOKEN_PLAN_API_KEY"] = "k3";
        _folder.Variables["QWEN_BASE_URL"] = "http://h/v1";
        Directory.CreateDirectory(_folder.QwenHome);
        foreach (string file in
            new[] { "oauth_creds.json", "qwenproxy_creds_work.json", "qwenproxy_creds_home.json", "qwenproxy_creds.json", "other.json" })
            File.WriteAllText(Path.Combine(_folder.QwenHome, file), "{}");
        ProxySnapshot snapshot = _folder.LoadGood();
        Assert.Equal(["env", "coding-plan", "token-plan", "dashscope", "qwen", "home", "work", "qwen-code"], snapshot.Accounts.Select(a => a.Name));
        Assert.Equal(Enumerable.Range(0, 8), snapshot.Accounts.Select(a => a.Priority));
        AccountSnapshot work = snapshot.Accounts[6];
        Assert.Equal((AccountKind.QwenOAuth, "qwen-portal"), (work.Kind, work.Profile.Name));
        Assert.Equal(Path.Combine(_folder.QwenHome, "qwenproxy_creds_work.json"), work.CredentialsPath);
        Assert.Null(work.BaseUrl);
        Assert.True(snapshot.AccountsWereDiscovered);
    }

    [Fact]
    public void QwenHome_SaysWhereCredentialsAreLookedFor()
    {
        _folder.Variables["QWEN_HOME"] = "elsewhere";
        string file = _folder.Write("elsewhere/oauth_creds.json", "{}");
        Assert.Equal(file, Assert.Single(_folder.LoadGood().Accounts).CredentialsPath);
    }

    [Fact]
    public void FileThatNamesAccounts_IsTheOnlySource()
    {
        _folder.Variables["DASHSCOPE_API_KEY"] = "k1";
        _folder.Variables["QWEN_API_KEY"] = "stray";
        ConfigurationResult result = _folder.Load("""{ "accounts": [ { "name": "a", "baseUrl": "http://h/v1" } ] }""");
        Assert.Equal("a", Assert.Single(result.Snapshot!.Accounts).Name);
        Assert.False(result.Snapshot.AccountsWereDiscovered);
        Assert.DoesNotContain(result.Values, v => v.Path.StartsWith("accounts.dashscope", StringComparison.Ordinal));
    }

    [Fact]
    public void FileWithoutAccounts_LeavesTheVariablesInForce()
    {
        _folder.Variables["DASHSCOPE_API_KEY"] = "k1";
        ProxySnapshot snapshot = _folder.LoadGood("""{ "retry": { "maxAttempts": 1 } }""");
        Assert.Equal("dashscope", Assert.Single(snapshot.Accounts).Name);
        Assert.Equal(1, snapshot.Retry.MaxAttempts);
    }
}
