using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Resilience;
using QwenProxy.Simulator;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>
/// The recovery rate: the share of requests whose client got the complete, exact answer, while more than one attempt in four fails in one of all the
/// ways an upstream fails. docs/resilience.md explains the run and shows its mix. What an attempt meets follows from the seed, the request and its
/// attempts so far. An answer that is wrong, or a failure that looks like a success, fails the run at once, whatever the rate.
/// </summary>
public sealed class FaultMixTests(ITestOutputHelper output)
{
    private const int Requests = 600;
    private const int Seed = 20250831;
    private const string Refused = "connection refused";

    /// <summary>Of 100 attempts so many meet this fault. The names are those of the document.</summary>
    private static readonly (string Fault, int Percent, string Scenario)[] Mix =
    [
        ("429, no time named", 2, "error-429-rate"),
        ("429 with `Retry-After: 1`", 1, "error-429-rate?retryAfter=1"),
        ("429, quota spent", 1, "error-429-quota-hour"),
        ("401, the account's key", 1, "error-401-key"),
        ("500", 2, "error-500"),
        ("502, a web page", 1, "error-502-html"),
        ("503", 2, "error-503"),
        ("reset before headers", 2, "reset-before-headers"),
        ("close before headers", 1, "close-before-headers"),
        ("200 and nothing", 1, "empty-200"),
        ("silence, no headers", 1, "silence"),
        ("headers, no first token", 1, "headers-then-silence"),
        ("cut mid answer, RST", 2, "cut?events=9&how=rst"),
        ("cut mid answer, FIN", 2, "cut?events=14&how=fin"),
        ("cut early: inside a tool call or the thinking", 2, "cut?events=4&how=rst"),
        ("stall mid answer", 1, "stall?events=5"),
        ("error event in a 200 stream", 2, "stream-error-object?events=6"),
        ("error event first in a 200 stream", 1, "stream-error-dashscope?status=500&code=InternalError"),
        ("an event that is not JSON", 1, "broken-event?events=4"),
        ("a clean end without finish reason", 1, "no-finish"),
    ];

    /// <summary>What a signed-in account meets besides: its token has ended, before its time and for good.</summary>
    private static readonly (string Fault, int Percent, string Scenario) Expired = ("401, the token has ended", 4, "error-401-token");

    private static readonly string[] Answers = ["healthy", "healthy", "healthy", "tools-1", "thinking"];

    private readonly ConcurrentDictionary<int, ConcurrentQueue<string>> _met = new();
    private readonly OAuthSimulator _signIn = new(TimeProvider.System, new OAuthSimulatorOptions { ResourceUrlOnRefresh = false });
    private (string Fault, int Percent, string Scenario)[] _mix = Mix;
    private string? _native;

    [Fact]
    public Task FaultMix_IsRecoveredFrom() => RunAsync(name => upstream => RunningProxy.Account(name, upstream), s => s);

    /// <summary>The same at services that speak the dialect, asked in it.</summary>
    [Theory]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public Task FaultMixAtNativeUpstreams_IsRecoveredFrom(string dialect)
    {
        _native = dialect;
        return RunAsync(name => upstream => RunningProxy.Account(name, upstream) with { Profile = Profiles.DashScope }, s => s);
    }

    /// <summary>
    /// The same with accounts that are signed in. Tokens end all the time, an account's often twice in a minute, and each of them has served: no
    /// account may be given up for that.
    /// </summary>
    [Fact]
    public async Task FaultMixWithTokensThatEnd_IsRecoveredFrom()
    {
        _mix = [.. Mix, Expired];
        using TemporaryFolder home = new();
        await using OAuthSimulatorHost server = await OAuthSimulatorHost.StartAsync(_signIn, TimeProvider.System, TestContext.Current.CancellationToken);
        await RunAsync(
            name => upstream => new AccountSnapshot { Name = name, Kind = AccountKind.QwenOAuth, Profile = Profiles.ByName("generic")!, CredentialsPath = SignIn(home, name, upstream) },
            s => s with { Storage = s.Storage with { OAuthBaseUrl = server.BaseUrl, QwenHome = home.Path } });
        Assert.True(_signIn.RefreshesGranted >= 8, $"Only {_signIn.RefreshesGranted} tokens ended: the run proves nothing.");
        Assert.Equal(0, _signIn.RefreshTokensReused);
        output.WriteLine($"tokens refreshed: {_signIn.RefreshesGranted}");
    }

    private string SignIn(TemporaryFolder home, string name, Uri upstream)
    {
        (string access, string refresh) = _signIn.Issue();
        string path = Path.Combine(home.Path, $"qwenproxy_creds_{name}.json");
        long end = TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeMilliseconds();
        File.WriteAllText(path, $$"""{"access_token":"{{access}}","token_type":"Bearer","refresh_token":"{{refresh}}","resource_url":"{{upstream}}","expiry_date":{{end}}}""");
        return path;
    }

    private async Task RunAsync(Func<string, Func<Uri, AccountSnapshot>> account, Func<ProxySnapshot, ProxySnapshot> configure)
    {
        bool signsIn = _mix.Length > Mix.Length;
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = Draw, KeepRequests = 0, AcceptsToken = signsIn ? _signIn.Accepts : null });
        // Bound and never listening: whoever connects is refused, and nobody else can get the port.
        using Socket closed = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Uri down = new($"http://127.0.0.1:{((IPEndPoint)closed.LocalEndPoint!).Port}/v1");
        AccountSnapshot[] accounts = [.. "abcd".Select(name => account($"{name}")(upstream.BaseUrl)), RunningProxy.Account("down", down)];
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [.. accounts] }, s => configure(s) with
        {
            Timeouts = s.Timeouts with { Idle = TimeSpan.FromSeconds(2), FirstToken = TimeSpan.FromSeconds(2) },
        });
        Outcome[] outcomes = new Outcome[Requests];
        await Parallel.ForAsync(0, Requests, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (i, _) =>
        {
            outcomes[i] = _native is { } dialect ? await AskNativelyAsync(proxy, i, dialect) : await AskAsync(proxy, i);
            if (i % 10 == 0) Mend(proxy);
        });
        NoteRefusedConnections(proxy, outcomes);
        double rate = 100.0 * outcomes.Count(o => o.Exact) / Requests;
        output.WriteLine(Table(outcomes, rate));
        Assert.All(_mix, m => Assert.Contains(_met.Values, q => q.Contains(m.Fault)));
        Assert.Contains(_met.Values, q => q.Contains(Refused));
        Assert.True(_met.Values.Sum(q => q.Count) > Requests / 4, "The mix hardly failed: the run proves nothing.");
        Assert.True(rate >= (signsIn ? 98 : 99), $"{rate:0.0} % recovered");
        Assert.Equal(0, proxy.Runtime.Router.Pool.LeasesOut);
    }

    [Fact]
    public void Document_ShowsTheMix()
    {
        string[] rows = [.. RepositoryFiles.TableRows("docs/resilience.md").Where(r => r.Length == 2 && r[1].EndsWith(" %", StringComparison.Ordinal)).Select(r => $"{r[0]} {r[1]}")];
        string[] mix = [.. Mix.Select(m => $"{m.Fault} {m.Percent} %"), $"none: healthy {100 - Mix.Sum(m => m.Percent)} %"];
        Assert.Equal(mix, rows);
    }

    /// <summary>What an attempt meets.</summary>
    private string Draw(RecordedRequest request)
    {
        int number = int.Parse(Regex.Match(request.BodyText, "number ([0-9]+)").Groups[1].Value, CultureInfo.InvariantCulture);
        ConcurrentQueue<string> met = _met.GetOrAdd(number, _ => new());
        lock (met)
        {
            int left = (int)(Chance(number, met.Count) % 100);
            (string Fault, int Percent, string Scenario) drawn = _mix.FirstOrDefault(m => (left -= m.Percent) < 0);
            if (drawn.Scenario is null) return Answers[number % Answers.Length];
            met.Enqueue(drawn.Fault);
            if (drawn == Expired) _signIn.RevokeAccess(request.Headers["authorization"]["Bearer ".Length..]);
            return $"{drawn.Scenario}{(drawn.Scenario.Contains('?', StringComparison.Ordinal) ? '&' : '?')}answer={Answers[number % Answers.Length]}";
        }
    }

    /// <summary>SplitMix64. Seeds of <see cref="Random"/> that lie close together give numbers that do, too: faults would come in clusters.</summary>
    private static ulong Chance(int number, int attempt)
    {
        ulong x = ((ulong)Seed << 32) + ((ulong)number << 8) + (ulong)attempt;
        x = (x + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    /// <summary>What the accounts' owner does now and then: an account that was banned has a good key, or quota, again.</summary>
    private static void Mend(RunningProxy proxy)
    {
        AccountPool pool = proxy.Runtime.Router.Pool;
        foreach (Cooldown cooldown in pool.Export(TimeProvider.System.GetUtcNow()).Cooldowns)
        {
            if (ErrorPolicy.For(cooldown.Kind).Bans) pool.Reset(cooldown.Account, TimeProvider.System.GetUtcNow());
        }
    }

    private static async Task<Outcome> AskAsync(RunningProxy proxy, int number)
    {
        string answer = Answers[number % Answers.Length];
        bool isText = answer == "healthy";
        string dialect = !isText ? Dialect.Chat : (number % 4) switch { 2 => Dialect.Messages, 3 => Dialect.Responses, _ => Dialect.Chat };
        bool stream = !isText || number % 3 != 0;
        string question = $"number {number}";
        SimulatedAnswer wanted = SimulatedAnswers.Meant(answer, Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream, question: question)));
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream, question: question), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        string id = response.Headers.GetValues("x-request-id").Single();
        bool claims = orderly && response.IsSuccessStatusCode;
        if (stream && response.IsSuccessStatusCode) Assert.Equal(claims, StreamText.IsComplete(text));
        if (!claims) return new Outcome(id, false, StreamText.Error(text)!.Value.GetProperty("message").GetString()!);
        Assert.Equal(wanted.Text, stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
        if (isText) return new Outcome(id, true, "");
        Assert.Equal(wanted.Reasoning, StreamText.Reasoning(text));
        for (int i = 0; i < wanted.ToolCalls.Count; i++) Assert.Equal(wanted.ToolCalls[i].Arguments, StreamText.Arguments(text, i));
        return new Outcome(id, true, "");
    }

    private static async Task<Outcome> AskNativelyAsync(RunningProxy proxy, int number, string dialect)
    {
        string answer = Answers[number % Answers.Length], question = $"number {number}";
        bool stream = number % 3 != 0;
        string thinking = answer == "thinking" ? "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}," : "";
        string body = Dialect.Body(dialect, stream, question: question).Replace("{\"model\"", dialect == Dialect.Messages ? $"{{{thinking}\"model\"" : "{\"store\":false,\"model\"", StringComparison.Ordinal);
        SimulatedAnswer wanted = SimulatedAnswers.Meant(answer, Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream, question: question)));
        using HttpResponseMessage response = await proxy.PostAsync(body, Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        string id = response.Headers.GetValues("x-request-id").Single();
        bool claims = orderly && response.IsSuccessStatusCode;
        if (stream && response.IsSuccessStatusCode) Assert.Equal(claims, StreamText.IsComplete(text));
        if (!claims) return new Outcome(id, false, StreamText.Error(text)!.Value.GetProperty("message").GetString()!);
        AnswerMeaning read = stream ? AnswerMeaning.OfStream(text) : AnswerMeaning.OfWhole(dialect, text);
        Assert.Equal((wanted.Text, wanted.Reasoning, wanted.ToolCalls.Count), (read.Text, read.Reasoning, read.Calls.Length == 0 ? 0 : read.Calls.Split('\n').Length));
        return new Outcome(id, true, "");
    }

    /// <summary>An attempt that finds nobody listening is seen by no upstream; the proxy's log tells of it.</summary>
    private void NoteRefusedConnections(RunningProxy proxy, Outcome[] outcomes)
    {
        Dictionary<string, int> numbers = outcomes.Index().ToDictionary(o => o.Item.RequestId, o => o.Index);
        foreach (string line in proxy.Log.Lines.Where(l => l.Contains(" at account=down ", StringComparison.Ordinal)))
        {
            string id = Regex.Match(line, "request=(\\S+)").Groups[1].Value;
            _met.GetOrAdd(numbers[id], _ => new()).Enqueue(Refused);
        }
    }

    private string Table(Outcome[] outcomes, double rate)
    {
        StringBuilder table = new();
        table.AppendLine(CultureInfo.InvariantCulture, $"recovery rate {rate:0.0} %: {outcomes.Count(o => o.Exact)} of {Requests} requests complete and exact (seed {Seed})");
        table.AppendLine($"{"fault",-48}{"attempts",9}{"requests",9}{"exact",7}{"error",7}");
        foreach (string fault in _mix.Select(m => m.Fault).Append(Refused))
        {
            int[] hit = [.. _met.Where(m => m.Value.Contains(fault)).Select(m => m.Key)];
            Row(fault, _met.Values.Sum(q => q.Count(f => f == fault)), hit);
        }

        Row("none", 0, [.. Enumerable.Range(0, Requests).Where(i => !_met.TryGetValue(i, out ConcurrentQueue<string>? q) || q.IsEmpty)]);
        Row("all", _met.Values.Sum(q => q.Count), [.. Enumerable.Range(0, Requests)]);
        foreach ((int number, Outcome failed) in outcomes.Index().Where(o => !o.Item.Exact)) table.AppendLine(CultureInfo.InvariantCulture, $"honest error: {failed.Error} (after {string.Join(", ", _met.GetValueOrDefault(number) ?? [])})");
        return table.ToString();

        void Row(string name, int attempts, int[] hit) => table.AppendLine(
            CultureInfo.InvariantCulture, $"{name,-48}{attempts,9}{hit.Length,9}{hit.Count(i => outcomes[i].Exact),7}{hit.Count(i => !outcomes[i].Exact),7}");
    }

    private sealed record Outcome(string RequestId, bool Exact, string Error);
}
