using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using QwenProxy.Console;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Requests;
using QwenProxy.Simulator;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;
using QwenProxy.Wire;

namespace QwenProxy.Tests.Proxying;

/// <summary>
/// Scenario by upstream dialect by client dialect: whatever an upstream speaks, and whatever it does wrong in it, a client reads the same answer. The
/// bytes are the simulator's; what is compared is what they mean, and the rules that hold for every one of them.
/// </summary>
public sealed class UpstreamAxisTests(SimulatedStreams streams) : IClassFixture<SimulatedStreams>
{
    private const string Tools = """[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}}}]""";

    /// <summary>What a stage mends in chat it mends elsewhere; what is no answer is an error everywhere.</summary>
    private static readonly string[] Scenarios =
    [
        "healthy", "thinking", "tools-1", "tools-2", "tool-after-text", "tool-after-thinking", "json", "length", "content-filter",
        "stutter-s1", "stutter-s2", "stutter-s3", "stutter-s4", "stutter-s5", "stutter-s6", "stutter-s7", "stutter-s8?calls=1",
        "leaked-hermes", "leaked-xml", "leaked-bare", "leaked-unclosed", "leaked-in-thinking", "mentioned-tags", "double-encoded-args",
        "truncated-tool-args", "empty-args", "think-tags", "no-done", "double-finish", "text-after-finish",
        "empty-choices", "empty-deltas", "tool-one-delta", "tool-interleaved", "tool-no-id", "tool-finish-stop", "tool-duplicate-finished",
    ];

    private static readonly string[] Dialects = [Dialect.Chat, Dialect.Messages, Dialect.Responses];

    public static TheoryData<string, string, string> Matrix
    {
        get
        {
            TheoryData<string, string, string> matrix = [];
            foreach (string scenario in Scenarios)
                foreach (string upstream in Dialects)
                    foreach (string client in Dialects) matrix.Add(scenario, upstream, client);
            return matrix;
        }
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Answer_IsTheSameFromEveryUpstream(string scenario, string upstream, string client)
    {
        AnswerMeaning wanted = AnswerMeaning.OfStream(Read(await streams.GetAsync(scenario, Dialect.Chat), Dialect.Chat, stream: true));
        byte[] sent = await streams.GetAsync(scenario, upstream);
        AnswerMeaning streamed = AnswerMeaning.OfStream(Read(sent, client, stream: true));
        Assert.Equal(OfTheAnswer(wanted), OfTheAnswer(streamed));
        // Fold-equivalence.
        Assert.Equal(streamed, AnswerMeaning.OfWhole(client, Read(sent, client, stream: false)));
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Answer_IsTheSameInEveryCut(string scenario, string upstream, string client)
    {
        byte[] sent = await streams.GetAsync(scenario, upstream);
        string whole = Read(sent, client, stream: true);
        foreach (int piece in new[] { 1, 7, 64 }) Assert.Equal(whole, Read(sent, client, stream: true, piece));
    }

    [Theory]
    [InlineData("healthy")]
    [InlineData("thinking")]
    [InlineData("tools-1")]
    [InlineData("tools-2")]
    [InlineData("tool-after-text")]
    [InlineData("tool-after-thinking")]
    [InlineData("mentioned-tags")]
    [InlineData("length")]
    [InlineData("content-filter")]
    public async Task HealthyStreamOfTheClientsDialect_IsByteForByteTheSame(string scenario)
    {
        foreach (string dialect in Dialects)
        {
            byte[] sent = await streams.GetAsync(scenario, dialect);
            Assert.Equal(Encoding.UTF8.GetString(sent), Read(sent, dialect, stream: true));
        }
    }

    /// <summary>What was mended once needs no mending again.</summary>
    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task MendedStream_PassesUnchanged(string scenario, string upstream, string client)
    {
        if (upstream != client) return;
        string mended = Read(await streams.GetAsync(scenario, upstream), client, stream: true);
        Assert.Equal(mended, Read(Encoding.UTF8.GetBytes(mended), client, stream: true));
    }

    public static TheoryData<string, string> NativeMatrix
    {
        get
        {
            TheoryData<string, string> matrix = [];
            foreach (string scenario in Scenarios)
                foreach (string dialect in (string[])[Dialect.Messages, Dialect.Responses]) matrix.Add(scenario, dialect);
            return matrix;
        }
    }

    /// <summary>
    /// The bytes themselves: runs of upstream's own frames by their numbers, every other frame in full, and the whole answer. With
    /// <c>QWEN_PROXY_WRITE_GOLDEN=1</c> the files are written instead of compared.
    /// </summary>
    [Theory]
    [MemberData(nameof(NativeMatrix))]
    public async Task NativeStream_ReadsAsTheFileSays(string scenario, string dialect)
    {
        string sent = Regex.Replace(Encoding.UTF8.GetString(await streams.GetAsync(scenario, dialect)), "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "uuid");
        sent = Regex.Replace(sent, "\"created_at\":[0-9]+", "\"created_at\":1");
        byte[] bytes = Encoding.UTF8.GetBytes(sent);
        string read = $"{Differences(sent, Read(bytes, dialect, stream: true))}whole: {Read(bytes, dialect, stream: false)}\n";
        string file = Path.Combine(RepositoryFiles.Locate("tests/golden/native"), $"{dialect}-{scenario.Replace('?', '-').Replace('=', '-')}.txt");
        if (Environment.GetEnvironmentVariable("QWEN_PROXY_WRITE_GOLDEN") == "1") await File.WriteAllTextAsync(file, read, TestContext.Current.CancellationToken);
        Assert.Equal(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken), read);
    }

    private static string Differences(string sent, string read)
    {
        string[] theirs = sent.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        StringBuilder text = new();
        int first = 0, next = 0;
        foreach (string frame in read.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            int found = Array.IndexOf(theirs, frame, next);
            if (found != next) Flush();
            if (found < 0) text.Append(frame).Append("\n\n");
            else if (found != next) first = found;
            if (found >= 0) next = found + 1;
            else first = next;
        }

        Flush();
        return text.ToString();

        void Flush()
        {
            if (next > first) text.Append(CultureInfo.InvariantCulture, $"= {first}-{next - 1}\n\n");
            first = next;
        }
    }

    /// <summary>The prompt has another length in each dialect.</summary>
    private static AnswerMeaning OfTheAnswer(AnswerMeaning meaning) => meaning with { Tokens = meaning.Tokens[(meaning.Tokens.IndexOf('+', StringComparison.Ordinal) + 1)..] };

    private static string Read(byte[] sent, string client, bool stream, int piece = int.MaxValue)
    {
        int ids = 0;
        string NewId(string prefix) => $"{prefix}{++ids:D6}";
        using PooledBytes output = new();
        using DownstreamAnswer answer = AnswerOf(client, output, stream, () => NewId(""));
        RepairContext context = new() { Report = new RepairReport(), Tools = Encoding.UTF8.GetBytes(Tools), Deltas = RepairPipeline.HabitOf(Profiles.DashScope) };
        using RepairPipeline pipeline = new(context, new RepairModes(StutterMode.Auto, RepairMode.On, RepairMode.On, null), () => NewId("call_"), answer);
        ProxyError? fault = new StreamReplay(ReplayCommand.ReaderOf(sent), pipeline, context, answer) { PieceBytes = piece }.Run(sent);
        Assert.Null(fault);
        return Encoding.UTF8.GetString(output.Span);
    }

    private static DownstreamAnswer AnswerOf(string dialect, PooledBytes output, bool stream, Func<string> newId)
    {
        switch (dialect)
        {
            case Dialect.Messages:
                MessagesAnswerOptions options = new() { NewId = newId };
                return stream ? new MessagesStreamAnswer(output, options) : new MessagesWholeAnswer(output, options);
            case Dialect.Responses:
                byte[] body = """{"model":"m","input":"","stream":true,"store":false}"""u8.ToArray();
                Assert.True(ResponsesRequestParser.TryTranslate(body, new ResponsesStore().Of(""), out ResponsesRequest? request, out _));
                ResponsesAnswerOptions responses = new() { Request = request, NewId = newId, Clock = new FakeClock() };
                return stream ? new ResponsesStreamAnswer(output, responses) : new ResponsesWholeAnswer(output, responses);
            default:
                return stream ? new ChatStreamAnswer(output, usageAsked: true) : new ChatWholeAnswer(output);
        }
    }
}

/// <summary>What the simulator sends, asked for once each.</summary>
public sealed class SimulatedStreams : IAsyncLifetime
{
    private readonly Dictionary<(string Scenario, string Dialect), byte[]> _sent = [];
    private readonly SemaphoreSlim _one = new(1);
    private readonly HttpClient _client = new();
    private SimulatorServer? _server;

    public async ValueTask InitializeAsync() => _server = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });

    public async Task<byte[]> GetAsync(string scenario, string dialect)
    {
        await _one.WaitAsync();
        try
        {
            if (_sent.TryGetValue((scenario, dialect), out byte[]? sent)) return sent;
            using HttpRequestMessage request = new(HttpMethod.Post, _server!.BaseUrl.GetLeftPart(UriPartial.Authority) + Dialect.Path(dialect)) { Content = RunningProxy.Json(BodyOf(dialect)) };
            request.Headers.Add("x-simulator-scenario", scenario);
            using HttpResponseMessage response = await _client.SendAsync(request);
            sent = await response.Content.ReadAsByteArrayAsync();
            Assert.True(response.IsSuccessStatusCode, Encoding.UTF8.GetString(sent));
            return _sent[(scenario, dialect)] = sent;
        }
        finally
        {
            _one.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _client.Dispose();
        _one.Dispose();
    }

    /// <summary>The same question with the same tool in each dialect's words.</summary>
    private static string BodyOf(string dialect)
    {
        const string schema = """{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}""";
        return dialect switch
        {
            Dialect.Messages => """{"model":"m","max_tokens":9000,"stream":true,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"get_weather","input_schema":""" + schema + "}]}",
            Dialect.Responses => """{"model":"m","stream":true,"store":false,"input":"hi","tools":[{"type":"function","name":"get_weather","parameters":""" + schema + "}]}",
            _ => """{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":""" + schema + "}}]}",
        };
    }
}
