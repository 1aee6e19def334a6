using System.Net;
using System.Text;
using System.Text.Json;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Tool calls that upstream sends in the wrong pieces, as clients of every dialect read them, streamed and whole.</summary>
public sealed class CallTests
{
    private const string Path = "{\"path\":\"a\",\"content\":\"b\"}";

    private static readonly string[] Names = ["bash", "read_file", "write_file"];

    private static string Delta(string delta, string? finish = null) =>
        $"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{(finish is null ? "null" : $"\"{finish}\"")}}}]}}\n\n";

    private static string Piece(string head, string? arguments = null)
    {
        string id = string.Join(',', head.Split(',').Where(m => !m.StartsWith("\"name\"", StringComparison.Ordinal) && m.Length > 0));
        string name = string.Join(',', head.Split(',').Where(m => m.StartsWith("\"name\"", StringComparison.Ordinal)));
        string text = arguments is null ? "" : $"\"arguments\":{JsonSerializer.Serialize(arguments)}";
        return Delta($"\"tool_calls\":[{{{id}{(id.Length > 0 ? "," : "")}\"type\":\"function\",\"function\":{{{name}{(name.Length > 0 && text.Length > 0 ? "," : "")}{text}}}}}]");
    }

    private static string End(string finish) => Delta("", finish) + "data: [DONE]\n\n";

    public static TheoryData<string, string, string[]> Rows => new()
    {
        {
            "a finish reason behind every piece", Piece("\"index\":0,\"id\":\"a\",\"name\":\"write_file\"", "") + Delta("", "stop") + Piece("\"index\":0", "{\"path\":") + Delta("", "stop") +
                Piece("\"index\":0", "\"a\",\"content\":\"b\"}") + End("stop"), [$"write_file({Path})"]
        },
        {
            "a finish reason in every piece", Piece("\"index\":0,\"id\":\"a\",\"name\":\"write_file\"", "").Replace("\"finish_reason\":null", "\"finish_reason\":\"tool_calls\"", StringComparison.Ordinal) +
                Piece("\"index\":0", Path[..9]).Replace("\"finish_reason\":null", "\"finish_reason\":\"tool_calls\"", StringComparison.Ordinal) + Piece("\"index\":0", Path[9..]) + End("tool_calls"),
            [$"write_file({Path})"]
        },
        { "arguments, then the name", Piece("\"index\":0,\"id\":\"a\"", "{\"command\": \"ls -la\"}") + Piece("\"index\":0,\"name\":\"bash\"") + End("tool_calls"), ["bash({\"command\":\"ls -la\"})"] },
        { "arguments, then id and name", Piece("", "{\"command\": \"ls -la\"}") + Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"") + End("stop"), ["bash({\"command\":\"ls -la\"})"] },
        { "a placeholder", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", "{}") + Piece("\"index\":0", "{\"p\": \".\"}") + End("tool_calls"), ["bash({\"p\":\".\"})"] },
        { "a placeholder and a finish reason", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", "{}") + Delta("", "tool_calls") + Piece("\"index\":0", "{\"p\": \".\"}") + End("tool_calls"), ["bash({\"p\":\".\"})"] },
        { "no arguments", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", "{}") + End("tool_calls"), ["bash({})"] },
        { "said again as a string", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", Path) + Piece("\"index\":0", JsonSerializer.Serialize(Path)) + End("tool_calls"), [$"bash({Path})"] },
        { "a quote and a brace too many", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", Path) + Piece("\"index\":0", "\"}") + End("stop"), [$"bash({Path})"] },
        { "a name in pieces", Piece("\"index\":0,\"id\":\"a\",\"name\":\"wri\"") + Piece("\"index\":0,\"name\":\"te_file\"") + Piece("\"index\":0", Path) + End("tool_calls"), [$"write_file({Path})"] },
        { "two declared names", Piece("\"index\":0,\"name\":\"bash\"") + Piece("\"index\":0,\"name\":\"read_file\"") + End("tool_calls"), ["bash({})", "read_file({})"] },
        {
            "one id for two calls", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", "{\"x\":1}") + Piece("\"index\":1,\"id\":\"a\",\"name\":\"bash\"", "{\"x\":") + Piece("\"index\":1", "2}") + End("tool_calls"),
            ["bash({\"x\":1})", "bash({\"x\":2})"]
        },
        { "a call without a name", Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", Path) + Piece("\"index\":1,\"id\":\"b\"", Path) + End("tool_calls"), [$"bash({Path})"] },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public async Task PiecesOfCalls_AreOneAnswerInEveryDialect(string kind, string sse, string[] calls)
    {
        Assert.NotEmpty(kind);
        foreach (string dialect in (string[])[Dialect.Chat, Dialect.Messages, Dialect.Responses])
        {
            foreach (bool cut in (bool[])[false, true])
            {
                await using RawUpstream upstream = Upstream(sse, cut);
                await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
                foreach (bool stream in (bool[])[true, false])
                {
                    (string text, HttpResponseMessage response) = await AskAsync(proxy, dialect, stream);
                    using (response)
                    {
                        List<StreamCalls.Call> read = StreamCalls.Of(dialect, stream, text);
                        Assert.Equal(calls, read.Select(c => c.ToString()));
                        Assert.Equal(read.Count, read.Select(c => c.Id).Distinct().Count());
                        Assert.DoesNotContain("", read.Select(c => c.Id));
                        Assert.Contains(dialect switch { Dialect.Chat => "\"finish_reason\":\"tool_calls\"", Dialect.Messages => "\"stop_reason\":\"tool_use\"", _ => "\"status\":\"completed\"" }, text, StringComparison.Ordinal);
                    }
                }
            }
        }
    }

    [Fact]
    public async Task IdThatStandsInTheHistory_IsANewOneInEveryDialect()
    {
        string sse = Piece("\"index\":0,\"id\":\"call_1\",\"name\":\"bash\"", "{\"x\":") + Piece("\"index\":0,\"id\":\"call_1\"", "1}") + End("tool_calls");
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(sse));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string dialect in (string[])[Dialect.Chat, Dialect.Messages, Dialect.Responses])
        {
            foreach (bool stream in (bool[])[true, false])
            {
                (string fresh, HttpResponseMessage one) = await AskAsync(proxy, dialect, stream);
                (string later, HttpResponseMessage two) = await AskAsync(proxy, dialect, stream, History(dialect));
                one.Dispose();
                two.Dispose();
                Assert.Equal("call_1", Assert.Single(StreamCalls.Of(dialect, stream, fresh)).Id);
                StreamCalls.Call call = Assert.Single(StreamCalls.Of(dialect, stream, later));
                Assert.NotEqual("call_1", call.Id);
                Assert.Equal("bash({\"x\":1})", call.ToString());
                Assert.DoesNotContain("call_1", later, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("{\"x\":1,}", "tool_calls")]
    [InlineData("{'x':1}", "stop")]
    [InlineData("{\"x\":[", "tool_calls")]
    public async Task WholeAnswerWithBrokenArguments_IsAskedForOnceMore(string arguments, string finish)
    {
        string broken = Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", arguments) + End(finish);
        string right = Piece("\"index\":0,\"id\":\"b\",\"name\":\"bash\"", "{\"x\":1}") + End("tool_calls");
        foreach (string dialect in (string[])[Dialect.Chat, Dialect.Messages, Dialect.Responses])
        {
            int asked = 0;
            await using RawUpstream upstream = new(exchange => exchange.SendAsync(RawUpstream.Sse(Interlocked.Increment(ref asked) == 1 ? broken : right)));
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
            (string text, HttpResponseMessage response) = await AskAsync(proxy, dialect, stream: false);
            Assert.Equal("bash({\"x\":1})", Assert.Single(StreamCalls.Of(dialect, false, text)).ToString());
            Assert.Equal("2", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
            Assert.DoesNotContain("broken-arguments", response.Headers.TryGetValues("x-qwen-proxy-repairs", out IEnumerable<string>? repairs) ? string.Concat(repairs) : "", StringComparison.Ordinal);
            response.Dispose();
        }
    }

    [Fact]
    public async Task BrokenArgumentsAgain_PassAsTheyAre_AndAreNoted()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", "{\"x\":1,}") + End("tool_calls")));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string dialect in (string[])[Dialect.Chat, Dialect.Responses])
        {
            int before = upstream.Requests.Count;
            (string whole, HttpResponseMessage response) = await AskAsync(proxy, dialect, stream: false);
            Assert.Equal("bash({\"x\":1,})", Assert.Single(StreamCalls.Of(dialect, false, whole)).ToString());
            Assert.Contains("tool-deltas/broken-arguments", Assert.Single(response.Headers.GetValues("x-qwen-proxy-repairs")), StringComparison.Ordinal);
            Assert.Equal(before + 2, upstream.Requests.Count);
            response.Dispose();
            (string streamed, response) = await AskAsync(proxy, dialect, stream: true);
            Assert.Equal("bash({\"x\":1,})", Assert.Single(StreamCalls.Of(dialect, true, streamed)).ToString());
            Assert.Equal(before + 3, upstream.Requests.Count);
            response.Dispose();
        }
    }

    [Fact]
    public async Task HealthyAnswer_HasNoRepairsHeader()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Piece("\"index\":0,\"id\":\"a\",\"name\":\"bash\"", Path) + End("tool_calls")));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (bool stream in (bool[])[true, false])
        {
            (_, HttpResponseMessage response) = await AskAsync(proxy, Dialect.Chat, stream);
            Assert.False(response.Headers.Contains("x-qwen-proxy-repairs"));
            response.Dispose();
        }
    }

    private static RawUpstream Upstream(string sse, bool cut) => !cut ? RawUpstream.Always(RawUpstream.Sse(sse)) : new RawUpstream(async exchange =>
    {
        byte[] bytes = Encoding.UTF8.GetBytes(RawUpstream.Sse(sse));
        for (int at = 0; at < bytes.Length; at += 41) await exchange.SendAsync(bytes.AsMemory(at, Math.Min(41, bytes.Length - at)));
    });

    private static string History(string dialect) => dialect switch
    {
        Dialect.Messages => """{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"bash","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"ok"}]}""",
        Dialect.Responses => """{"role":"user","content":"hi"},{"type":"function_call","call_id":"call_1","name":"bash","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":"ok"}""",
        _ => """{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"bash","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"ok"}""",
    };

    private static async Task<(string Text, HttpResponseMessage Response)> AskAsync(RunningProxy proxy, string dialect, bool stream, string history = """{"role":"user","content":"hi"}""")
    {
        const string schema = """{"type":"object","properties":{}}""";
        string tools = string.Join(',', Names.Select(n => dialect switch
        {
            Dialect.Messages => $$"""{"name":"{{n}}","input_schema":{{schema}}}""",
            Dialect.Responses => $$"""{"type":"function","name":"{{n}}","parameters":{{schema}}}""",
            _ => $$$"""{"type":"function","function":{"name":"{{{n}}}","parameters":{{{schema}}}}}""",
        }));
        string body = $$"""{"model":"m","stream":{{(stream ? "true" : "false")}},"max_tokens":9000,"{{(dialect == Dialect.Responses ? "input" : "messages")}}":[{{history}}],"tools":[{{tools}}]}""";
        HttpResponseMessage response = await proxy.PostAsync(body, Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && response.StatusCode == HttpStatusCode.OK, text);
        return (text, response);
    }
}
