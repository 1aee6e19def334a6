using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Checks;
using QwenProxy.Configuration;
using QwenProxy.Core.Catalogue;
using QwenProxy.Hosting;
using QwenProxy.Simulator;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Proxying;
using QwenProxy.Upstreams;

namespace QwenProxy.Tests.Checks;

/// <summary>
/// A key at the wrong region or plan, at the service's real addresses: every connection ends at one simulator with TLS, which tells the hosts
/// apart and notes what each was sent.
/// </summary>
public sealed class RegionCheckTests : IAsyncLifetime
{
    private const string IntlHost = "dashscope-intl.aliyuncs.com";
    private const string CnHost = "dashscope.aliyuncs.com";

    private readonly X509Certificate2 _certificate = TransportTests.SelfSigned();
    private readonly ConfigFolder _folder = new();
    private readonly Dictionary<string, string> _keyOfHost = [];
    private SimulatorServer _service = null!;
    private string _refusal = "error-401-key";
    private bool _siblingsAreOpen;

    public async ValueTask InitializeAsync() =>
        _service = await SimulatorServer.StartAsync(new SimulatorOptions { Certificate = _certificate, ChooseScenario = Choose });

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        _certificate.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task KeyOfThisRegion_IsNamedAndGoesNowhereElse()
    {
        _keyOfHost[IntlHost] = "sk-here";
        _folder.Variables["DASHSCOPE_API_KEY"] = "sk-here";
        AccountReport report = await CheckAsync(probe: true);
        Assert.Equal(0, report.Faults);
        Assert.Equal((CheckResult.Ok, "dashscope, intl"), (Of(report, CheckName.Region).Result, Of(report, CheckName.Region).Says));
        Assert.Equal([IntlHost], HostsAsked());
    }

    [Fact]
    public async Task WithoutProbe_NoKeyGoesToAnotherHost()
    {
        _keyOfHost[CnHost] = "sk-beijing";
        _folder.Variables["DASHSCOPE_API_KEY"] = "sk-beijing";
        AccountReport report = await CheckAsync(probe: false);
        Assert.Equal(CheckResult.Fault, Of(report, CheckName.Key).Result);
        Assert.Contains("qwen-proxy doctor --probe", Of(report, CheckName.Key).Fix, StringComparison.Ordinal);
        Assert.Equal(CheckResult.Skipped, Of(report, CheckName.Region).Result);
        Assert.Equal([IntlHost], HostsAsked());
    }

    [Theory]
    [InlineData("dashscope.aliyuncs.com", "dashscope, cn", "DASHSCOPE_API_KEY with DASHSCOPE_REGION=cn")]
    [InlineData("dashscope-us.aliyuncs.com", "dashscope, us", "DASHSCOPE_API_KEY with DASHSCOPE_REGION=us")]
    [InlineData("cn-hongkong.dashscope.aliyuncs.com", "dashscope, hk", "DASHSCOPE_API_KEY with DASHSCOPE_REGION=hk")]
    [InlineData("token-plan.cn-beijing.maas.aliyuncs.com", "token-plan, cn", "BAILIAN_TOKEN_PLAN_API_KEY with BAILIAN_TOKEN_PLAN_REGION=cn")]
    public async Task WithProbe_TheHomeOfARefusedKeyIsFound(string home, string says, string fix)
    {
        _keyOfHost[home] = "sk-elsewhere";
        _folder.Variables["DASHSCOPE_API_KEY"] = "sk-elsewhere";
        AccountReport report = await CheckAsync(probe: true);
        Finding region = Of(report, CheckName.Region);
        Assert.Equal((CheckResult.Fault, "set " + fix), (region.Result, region.Fix));
        Assert.Contains(says, region.Says, StringComparison.Ordinal);
        Assert.Equal(1, report.Faults);

        // A key without the plans' prefix is not shown to the Coding Plan, which takes no other.
        Assert.DoesNotContain(HostsAsked(), h => h.StartsWith("coding", StringComparison.Ordinal));
        Assert.Equal(6, HostsAsked().Length);
        Assert.DoesNotContain(report.Findings, f => (f.Says + f.Fix).Contains("sk-elsewhere", StringComparison.Ordinal));
    }

    [Fact]
    public async Task AccountOfAFile_IsToldTheBaseUrlToWrite()
    {
        _keyOfHost[CnHost] = "sk-beijing";
        _folder.Write("qwen-proxy.json", """{ "accounts": [ { "name": "paygo", "baseUrl": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "apiKey": "env:K", "headers": { "x-own": "own-secret" } } ] }""");
        _folder.Variables["K"] = "sk-beijing";
        Finding region = Of(await CheckAsync(probe: true), CheckName.Region);
        Assert.Equal("set the baseUrl of 'paygo' to https://dashscope.aliyuncs.com/compatible-mode/v1", region.Fix);

        // What the owner wrote for one host is for that host.
        Assert.All(_service.Requests.Where(r => r.Headers["Host"] != IntlHost), r => Assert.False(r.Headers.ContainsKey("x-own")));
    }

    [Fact]
    public async Task PlanKeyAtPayAsYouGo_IsSeenByItsPrefixAndLocatedByProbe()
    {
        const string home = "coding.dashscope.aliyuncs.com";
        _keyOfHost[home] = "sk-sp-mine";
        _folder.Variables["DASHSCOPE_API_KEY"] = "sk-sp-mine";
        Finding seen = Of(await CheckAsync(probe: false), CheckName.Region);
        Assert.Equal(CheckResult.Fault, seen.Result);
        Assert.Contains("a plan's (sk-sp-)", seen.Says, StringComparison.Ordinal);
        Assert.StartsWith("set BAILIAN_CODING_PLAN_API_KEY with BAILIAN_CODING_PLAN_REGION=intl; ", seen.Fix, StringComparison.Ordinal);
        Assert.Equal([IntlHost], HostsAsked());

        Finding found = Of(await CheckAsync(probe: true), CheckName.Region);
        Assert.Equal("set BAILIAN_CODING_PLAN_API_KEY with BAILIAN_CODING_PLAN_REGION=cn", found.Fix);
        Assert.All(HostsAsked(), h => Assert.True(h == IntlHost || h.StartsWith("coding", StringComparison.Ordinal) || h.StartsWith("token-plan.", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task OrdinaryKeyAtTheCodingPlan_IsSeenByItsPrefix()
    {
        _folder.Variables["BAILIAN_CODING_PLAN_API_KEY"] = "sk-ordinary";
        _folder.Variables["BAILIAN_CODING_PLAN_REGION"] = "cn";
        Finding region = Of(await CheckAsync(probe: false), CheckName.Region);
        Assert.Equal(CheckResult.Fault, region.Result);
        Assert.StartsWith("set DASHSCOPE_API_KEY with DASHSCOPE_REGION=cn; ", region.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public async Task KeyThatIsRefusedEverywhere_NeedsANewOne()
    {
        _folder.Variables["DASHSCOPE_API_KEY"] = "sk-dead";
        AccountReport report = await CheckAsync(probe: true);
        Assert.StartsWith("make a new key", Of(report, CheckName.Key).Fix, StringComparison.Ordinal);
        Assert.Equal("no other address takes it either: 5 refuse it", Of(report, CheckName.Region).Says);
    }

    [Fact]
    public async Task SiblingThatShowsItsModelsToAnyone_IsNotTakenForTheHome()
    {
        _siblingsAreOpen = true;
        _folder.Variables["DASHSCOPE_API_KEY"] = "sk-dead";
        AccountReport report = await CheckAsync(probe: true);
        Assert.Equal(CheckResult.Fault, Of(report, CheckName.Key).Result);
        Assert.StartsWith("no other address takes it either: 0 refuse it, 5 did not tell (", Of(report, CheckName.Region).Says, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WrongPathAtAKnownHost_IsToldTheRightOne()
    {
        _refusal = "error-empty-404";
        _folder.Variables["BAILIAN_CODING_PLAN_API_KEY"] = "sk-sp-mine";
        _folder.Variables["BAILIAN_CODING_PLAN_BASE_URL"] = "https://coding-intl.dashscope.aliyuncs.com/compatible-mode/v1";
        Finding endpoint = Of(await CheckAsync(probe: true), CheckName.Endpoint);
        Assert.Equal((CheckResult.Fault, "set the baseUrl of 'coding-plan' to https://coding-intl.dashscope.aliyuncs.com/v1"), (endpoint.Result, endpoint.Fix));
    }

    [Fact]
    public void EveryAddress_IsKnownToBelongToItsPlan() =>
        Assert.All(ServiceEndpoints.All, e => Assert.Equal(e.Profile, Profiles.FromBaseUrl(e.BaseUrl)));

    private static Finding Of(AccountReport report, CheckName check) => Assert.Single(report.Findings, f => f.Check == check);

    private string Choose(RecordedRequest request)
    {
        string host = request.Headers["Host"];
        string key = request.Headers.GetValueOrDefault("Authorization", "");
        bool isOpen = _siblingsAreOpen && host != IntlHost;
        return isOpen || (_keyOfHost.TryGetValue(host, out string? good) && key == $"Bearer {good}") ? "healthy" : _refusal;
    }

    private string[] HostsAsked() => [.. _service.Requests.Select(r => r.Headers["Host"]).Distinct()];

    private async Task<AccountReport> CheckAsync(bool probe)
    {
        ProxySnapshot snapshot = _folder.LoadGood();
        snapshot = snapshot with { Storage = snapshot.Storage with { DataFolder = "" } };
        await using ProxyRuntime runtime = new(snapshot, NullLoggerFactory.Instance, TimeProvider.System, new Random(1), new UpstreamTransport { Customize = Redirect });
        return await new AccountDoctor(runtime.Upstreams.Authorizer, runtime.Upstreams.Transport, runtime.Router.Table, snapshot, TimeProvider.System, probe).CheckAsync(Assert.Single(snapshot.Accounts), TestContext.Current.CancellationToken);
    }

    private void Redirect(SocketsHttpHandler handler)
    {
        handler.UseProxy = false;
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown!.GetCertHashString() == _certificate.GetCertHashString();
        handler.ConnectCallback = async (_, stop) =>
        {
            Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, _service.BaseUrl.Port, stop);
            return new NetworkStream(socket, ownsSocket: true);
        };
    }
}
