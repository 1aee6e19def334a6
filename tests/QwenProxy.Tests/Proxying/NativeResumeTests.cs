using System.Text;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>
/// A native stream breaks after the first byte, and the client reads one whole answer all the same: continued at the same account, at another one
/// natively or in chat, and from chat natively.
/// </summary>
public sealed class NativeResumeTests
{
    private const string Weather = """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""";

    /// <summary>Where an answer breaks and who goes on: n is a native upstream, c one that speaks chat only.</summary>
    private static readonly string[] s_ways = ["nn", "nc", "cn"];

    private static readonly string[] s_faults =
    [
        "cut?events=5&how=rst", "cut?events=12&how=fin", "cut?bytes=1777&how=rst", "stall?events=6", "stall-pings?events=7&every=100", "stream-error-native?events=8",
        "stream-error-dashscope?events=6&status=500&code=InternalError", "broken-event?events=5", "no-finish", "error-finish",
    ];

    private static readonly string[] s_answers = ["json", "empty-deltas", "thinking", "tools-1", "tools-2", "tool-interleaved", "tool-after-text", "tool-after-thinking"];

    public static TheoryData<string, string> Faults
    {
        get
        {
            TheoryData<string, string> faults = [];
            foreach (string dialect in (string[])[Dialect.Messages, Dialect.Responses])
                foreach (string fault in s_faults) faults.Add(dialect, fault);
            return faults;
        }
    }

    public static TheoryData<string, string> Answers
    {
        get
        {
            TheoryData<string, string> answers = [];
            foreach (string dialect in (string[])[Dialect.Messages, Dialect.Responses])
                foreach (string answer in s_answers) answers.Add(dialect, answer);
            return answers;
        }
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task BrokenOnce_TheClientReadsOneWholeAnswer(string dialect, string fault)
    {
        AnswerMeaning wanted = await MeantAsync(dialect, "healthy");
        foreach (string way in s_ways)
        {
            (string text, bool orderly) = await AskAsync(dialect, $"{fault}{(fault.Contains('?', StringComparison.Ordinal) ? '&' : '?')}answer=healthy", "healthy", way);
            Assert.True(orderly && StreamText.IsComplete(text), $"{way}: {text}");
            Assert.Contains(": resumed", text, StringComparison.Ordinal);
            Assert.Equal(wanted, OfTheAnswer(text));
        }
    }

    [Theory]
    [MemberData(nameof(Answers))]
    public async Task CutAnywhere_OfAnyAnswer_IsReplayedExactly(string dialect, string answer)
    {
        AnswerMeaning wanted = await MeantAsync(dialect, answer);
        for (int events = 1; events < 40; events += events < 14 ? 1 : 5)
        {
            foreach (string way in s_ways)
            {
                (string text, bool orderly) = await AskAsync(dialect, $"cut?answer={answer}&events={events}&how={(events % 2 == 0 ? "rst" : "fin")}", answer, way);
                Assert.True(orderly && StreamText.IsComplete(text), $"{way} {events}: {text}");
                Assert.Equal((way, events, wanted), (way, events, OfTheAnswer(text)));
            }
        }
    }

    /// <summary>A server that fails may end what is open before it says so, as if it were whole.</summary>
    [Theory]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task EndedByTheServerBeforeItFails_IsGoneOnWith(string dialect)
    {
        foreach (string answer in (string[])["json", "tools-2", "tool-after-text"])
        {
            AnswerMeaning wanted = await MeantAsync(dialect, answer);
            foreach (string way in s_ways)
            {
                (string text, bool orderly) = await AskAsync(dialect, $"error-finish?answer={answer}", answer, way);
                Assert.True(orderly && StreamText.IsComplete(text), $"{way} {answer}: {text}");
                Assert.Equal((way, answer, wanted), (way, answer, OfTheAnswer(text)));
            }
        }
    }

    /// <summary>Thinking without words is what Claude Code asks for.</summary>
    [Fact]
    public async Task CutAnywhere_WithoutTheWordsOfThinking_IsReplayedExactly()
    {
        AnswerMeaning wanted = (await MeantAsync(Dialect.Messages, "tool-after-thinking")) with { Reasoning = "" };
        for (int events = 1; events < 40; events++)
        {
            foreach (string way in s_ways)
            {
                (string text, bool orderly) = await AskAsync(Dialect.Messages, $"cut?answer=tool-after-thinking&events={events}&how=rst", "tool-after-thinking", way, display: "omitted");
                Assert.True(orderly && StreamText.IsComplete(text), $"{way} {events}: {text}");
                Assert.Equal((way, events, wanted), (way, events, OfTheAnswer(text)));
            }
        }
    }

    /// <summary>One model's signature never stands under another's words.</summary>
    [Fact]
    public async Task CutInThinking_LeavesTheBlockWithoutASignature_AndALaterOneIsWhole()
    {
        (string text, _) = await AskAsync(Dialect.Messages, "cut?answer=thinking&events=6", "thinking", "nn");
        Assert.DoesNotContain("signature_delta", text, StringComparison.Ordinal);
        (text, _) = await AskAsync(Dialect.Messages, "cut?answer=thinking&events=200", "thinking", "nn");
        Assert.Contains("\"signature\":\"sig-", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TwoAccountsThatCut_AndAHealthyThird_TheThirdIsAsked()
    {
        await using SimulatorServer cutting = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "cut?events=6" });
        await using SimulatorServer healthy = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });
        AccountSnapshot[] accounts = [Native("a", cutting.BaseUrl, 0), Native("b", cutting.BaseUrl, 1), Native("c", healthy.BaseUrl, 2)];
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [.. accounts] }, Brisk);
        foreach (string dialect in (string[])[Dialect.Chat, Dialect.Messages])
        {
            using HttpResponseMessage response = await proxy.PostAsync(Body(dialect, "healthy"), Dialect.Path(dialect));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly && StreamText.IsComplete(text), text);
        }

        Assert.Equal(4, cutting.Requests.Count);
        Assert.Equal(2, healthy.Requests.Count);
    }

    [Theory]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task WholeAnswerThatBreaks_IsAskedForAgainNatively(string dialect)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:cut?answer=tool-after-thinking&events=9|tool-after-thinking" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [Native("up", upstream.BaseUrl)] });
        using HttpResponseMessage response = await proxy.PostAsync(Body(dialect, "thinking", stream: false), Dialect.Path(dialect));
        AnswerMeaning read = AnswerMeaning.OfWhole(dialect, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(await MeantAsync(dialect, "tool-after-thinking"), read with { Tokens = "" });
        Assert.Equal("2", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
        Assert.All(upstream.Requests, r => Assert.DoesNotContain("chat", r.Target, StringComparison.Ordinal));
    }

    private static async Task<(string Text, bool Orderly)> AskAsync(string dialect, string first, string second, string way, string display = "summarized")
    {
        await using SimulatorServer breaking = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = $"sequence:{first}|{second}" });
        await using SimulatorServer going = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = second });
        AccountSnapshot a = Native("a", breaking.BaseUrl, 0), b = Native("b", going.BaseUrl, 1);
        if (way[0] == 'c') a = a with { Native = NativeMode.Never };
        if (way[1] == 'c') b = b with { Native = NativeMode.Never };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [a, b] }, Brisk);
        using HttpResponseMessage response = await proxy.PostAsync(Body(dialect, second).Replace("\"budget_tokens\":2000", $"\"budget_tokens\":2000,\"display\":\"{display}\"", StringComparison.Ordinal), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(going.Requests.Count <= 1);
        Assert.Equal(way[0] == 'c', breaking.Requests[0].Target.Contains("chat", StringComparison.Ordinal));
        if (going.Requests.Count > 0) Assert.Equal(way[1] == 'c', going.Requests[0].Target.Contains("chat", StringComparison.Ordinal));
        return (text, orderly);
    }

    private static async Task<AnswerMeaning> MeantAsync(string dialect, string answer)
    {
        // Blocks side by side are nothing that a client of Messages can read: what is meant is read elsewhere.
        if (answer == "tool-interleaved") dialect = Dialect.Responses;
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = answer });
        using HttpClient client = new();
        using HttpResponseMessage response = await client.PostAsync(upstream.BaseUrl.GetLeftPart(UriPartial.Authority) + Dialect.Path(dialect), RunningProxy.Json(Body(dialect, answer)));
        return OfTheAnswer(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>What two streams cost together is another test's business.</summary>
    private static AnswerMeaning OfTheAnswer(string text) => AnswerMeaning.OfStream(text) with { Tokens = "" };

    /// <summary>A service that speaks both dialects and cannot go on with a text: what is shown is the replay.</summary>
    private static AccountSnapshot Native(string name, Uri baseUrl, int priority = 0) => RunningProxy.Account(name, baseUrl, priority) with { Profile = Profiles.DashScope };

    private static ProxySnapshot Brisk(ProxySnapshot s) => s with
    {
        Timeouts = s.Timeouts with { Idle = TimeSpan.FromSeconds(1), FirstToken = TimeSpan.FromSeconds(5) },
        Retry = s.Retry with { MaxWaitSeconds = 0 },
    };

    /// <summary>Thinking is asked for where the answer has some: what a client did not ask for it need not be shown.</summary>
    private static string Body(string dialect, string answer, bool stream = true) => dialect switch
    {
        Dialect.Messages => $$"""{"model":"m","max_tokens":9000,"stream":{{(stream ? "true" : "false")}},{{(answer.Contains("thinking", StringComparison.Ordinal) ? "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}," : "")}}"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"get_weather","input_schema":{{Weather}}}]}""",
        Dialect.Responses => $$"""{"model":"m","store":false,"stream":{{(stream ? "true" : "false")}},"input":"hi","tools":[{"type":"function","name":"get_weather","parameters":{{Weather}}}]}""",
        _ => Dialect.Body(dialect, stream),
    };
}
