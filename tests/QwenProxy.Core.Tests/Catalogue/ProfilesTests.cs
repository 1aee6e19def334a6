using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Tests.Catalogue;

public sealed class ProfilesTests
{
    [Theory]
    [InlineData("https://dashscope.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("https://DASHSCOPE-US.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("https://ws-1.eu-central-1.maas.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("https://trial.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", "dashscope")]
    [InlineData("https://coding-intl.dashscope.aliyuncs.com/v1", "coding-plan")]
    [InlineData("https://coding.dashscope.aliyuncs.com/v1", "coding-plan")]
    [InlineData("https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", "token-plan")]
    [InlineData("https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1", "token-plan")]
    [InlineData("https://portal.qwen.ai/v1", "qwen-portal")]
    [InlineData("https://openrouter.ai/api/v1", "openrouter")]
    [InlineData("https://ollama.com/v1", "ollama")]
    [InlineData("https://api-inference.modelscope.cn/v1", "modelscope")]
    [InlineData("http://127.0.0.1:8000/v1", "vllm")]
    [InlineData("http://192.168.1.7:30000/v1", "sglang")]
    [InlineData("http://localhost:11434/v1", "ollama")]
    [InlineData("http://[::1]:1234/v1", "lm-studio")]
    [InlineData("http://gpu-box:8000/v1", "vllm")]
    [InlineData("http://127.0.0.1:8080/v1", "generic")]
    [InlineData("https://api.example.com:8000/v1", "generic")]
    [InlineData("https://8.8.8.8:8000/v1", "generic")]
    [InlineData("https://notdashscope.aliyuncs.com.example.org/v1", "generic")]
    [InlineData("https://evil-openrouter.ai/v1", "generic")]
    public void BaseUrl_FindsProfile(string url, string profile) => Assert.Equal(profile, Profiles.FromBaseUrl(new Uri(url)).Name);

    [Fact]
    public void EveryProfileOfTheFileFormat_IsFoundByName()
    {
        string[] names =
        [
            "dashscope", "coding-plan", "token-plan", "qwen-portal", "vllm", "sglang", "llama-cpp", "ollama", "lm-studio", "openrouter", "modelscope",
            "generic",
        ];
        Assert.Equal(names.Order(), Profiles.All.Select(p => p.Name).Order());
        Assert.All(names, name => Assert.Equal(name, Profiles.ByName(name)!.Name));
        Assert.Null(Profiles.ByName("Vllm"));
    }

    [Theory]
    [InlineData("dashscope", "https://dashscope-us.aliyuncs.com/compatible-mode/v1", "https://dashscope-us.aliyuncs.com/apps/anthropic/v1/messages")]
    [InlineData("coding-plan", "https://coding.dashscope.aliyuncs.com/v1", "https://coding.dashscope.aliyuncs.com/apps/anthropic/v1/messages")]
    [InlineData("ollama", "http://localhost:11434/v1", "http://localhost:11434/v1/messages")]
    [InlineData("openrouter", "https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1/messages")]
    public void MessagesUrl_BelongsToBaseUrl(string profile, string baseUrl, string expected) =>
        Assert.Equal(expected, UpstreamProfile.Below(new Uri(baseUrl), Profiles.ByName(profile)!.MessagesPath)!.AbsoluteUri);

    [Fact]
    public void ProfileWithoutNativeDialect_GivesNoUrl()
    {
        Assert.Null(UpstreamProfile.Below(new Uri("http://host/v1"), Profiles.Generic.MessagesPath));
        Assert.Null(UpstreamProfile.Below(new Uri("https://coding.dashscope.aliyuncs.com/v1"), Profiles.CodingPlan.ResponsesPath));
        Assert.Equal(
            "https://dashscope.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1/responses",
            UpstreamProfile.Below(new Uri("https://dashscope.aliyuncs.com/compatible-mode/v1"), Profiles.DashScope.ResponsesPath)!.AbsoluteUri);
    }

    [Theory]
    [InlineData("dashscope", "qwen3.7-plus", true)]
    [InlineData("dashscope", "qwen3.7-max-2026-06-01", true)]
    [InlineData("dashscope", "qwen3-coder-plus", true)]
    [InlineData("dashscope", "qwen3-30b-a3b", true)]
    [InlineData("dashscope", "qwen3.8-max", false)]
    [InlineData("dashscope", "qwen3-235b-a22b-thinking-2507", false)]
    [InlineData("dashscope", "glm-5", false)]
    [InlineData("vllm", "anything", true)]
    [InlineData("ollama", "qwen3", false)]
    [InlineData("qwen-portal", "coder-model", false)]
    public void Prefill_IsOfferedWhereDocumented(string profile, string model, bool can) =>
        Assert.Equal(can, Profiles.ByName(profile)!.CanPrefill(model));

    [Fact]
    public void OnlyThePortal_CarriesTheKeyOrderMark() => Assert.Equal(Profiles.QwenPortal, Assert.Single(Profiles.All, p => p.KeyOrderMark));

    [Fact]
    public void OnlyTheCodingPlan_IsClosedToOtherCallers() =>
        Assert.Equal(Profiles.CodingPlan, Assert.Single(Profiles.All, p => p.UserAgent == UserAgentPolicy.ForwardOnly));
}
