using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Ledger;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Twenty clients at three accounts with slots, faults and limits: what is booked is what upstream counted, and nobody goes beyond, neither a client nor a plan.</summary>
public sealed partial class ClientSoakTests
{
    private const int Clients = 20;
    private const int Slots = 4;
    private const int AtOnce = 3;
    private const int LargestAnswer = 60;
    private const int Plan = 120;

    private readonly ConcurrentDictionary<string, int> _turns = new();
    private readonly ConcurrentDictionary<string, long> _counted = new();
    private readonly ConcurrentDictionary<string, int> _running = new();
    private readonly ConcurrentDictionary<string, long> _calls = new();
    private readonly ConcurrentDictionary<string, long> _tokens = new();
    private readonly ConcurrentBag<string> _broken = [];

    [Fact]
    public async Task TwentyClientsWithFaultsAndLimits_AreBookedToTheToken()
    {
        using TemporaryFolder folder = new();
        await using RawUpstream first = Upstream("first");
        await using RawUpstream second = Upstream("second");
        await using RawUpstream third = Upstream("third");
        ProxySnapshot snapshot = new()
        {
            Accounts = [Account("first", first), Account("second", second), Account("third", third)],
            Clients = [.. Enumerable.Range(0, Clients).Select(i => new ClientSnapshot($"c{i}", new Secret($"sk-c{i}.")) { Limits = LimitsOf(i) })],
            Storage = new StorageSnapshot { DataFolder = folder.Of("data") },
            Limits = new LimitsSnapshot { QueueSeconds = 120 },
        };
        ConcurrentDictionary<(string, string), int> refusals = new();
        await using (RunningProxy proxy = await RunningProxy.StartAsync(snapshot))
        {
            await Parallel.ForAsync(0, Clients * AtOnce * 2, new ParallelOptions { MaxDegreeOfParallelism = Clients * AtOnce * 2 }, async (lane, stop) =>
            {
                string client = $"c{lane % Clients}";
                for (int i = 0; i < 6; i++) await AskAsync(proxy, client, $"{lane}-{i}", refusals, stop);
            });
            for (int i = 0; i < Clients; i++)
            {
                long left = Math.Max(0, LimitsOf(i).TokensPerDay!.Value - _counted.GetValueOrDefault($"c{i}"));
                (long told, long estimate) = await LeftAsync(proxy, $"c{i}");
                Assert.Equal(Math.Max(0, left - estimate), told);
            }

            Assert.Equal((0, 0), (proxy.Runtime.Router.Pool.LeasesOut, proxy.Runtime.Router.Pool.Waiting));
            // Each plan is counted as its upstream counted it: every call, failed ones too, and every token, by estimate where it told none.
            foreach (QuotaStanding quota in proxy.Runtime.Router.Pool.Quotas(TimeProvider.System.GetUtcNow()))
                Assert.Equal((quota.Account, quota.Counts == "requests" ? _calls[quota.Account] : _tokens[quota.Account]), (quota.Account, (long)quota.Used!.Value));
            Assert.Equal(Plan, _calls["first"]);
        }

        Assert.Empty(_broken);
        ILookup<string, LedgerEntry> ledger = LedgerQueries.Read(folder.Of("data", LedgerFile.Name), null).ToLookup(e => e.Client!);
        for (int i = 0; i < Clients; i++)
        {
            string client = $"c{i}";
            long counted = _counted.GetValueOrDefault(client);
            Assert.Equal(counted, ledger[client].Sum(e => (e.Tokens?.Input + e.Tokens?.Output) ?? 0));
            long limit = LimitsOf(i).TokensPerDay!.Value;
            Assert.True(counted < limit + (AtOnce * LargestAnswer), $"{client} has {counted} of {limit}");
            Assert.All(ledger[client], e => Assert.True(e.Status is 200 or 429, $"{e.Status} {e.Code}"));
        }

        Assert.Contains(refusals, r => r.Key.Item2 == "tokensPerDay");
        Assert.Contains(refusals, r => r.Key.Item2 == "concurrent");
        Assert.Contains(ledger.SelectMany(l => l), e => e.Resumes > 0);
        Assert.Contains(ledger.SelectMany(l => l), e => e is { Attempts: > 1, Resumes: 0 });
    }

    private static ClientLimits LimitsOf(int client) => new() { TokensPerDay = client % 2 == 0 ? 150 + (client * 30) : 1_000_000, Concurrent = AtOnce, RequestsPerMinute = 1000, Priority = client % 3 };

    private static AccountSnapshot Account(string name, RawUpstream upstream) => RunningProxy.Account(name, upstream.BaseUrl) with
    {
        MaxConcurrent = Slots,
        Quota = new QuotaSettings { Windows = [new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = name == "first" ? Plan : null }, new QuotaRule(QuotaUnit.Tokens, QuotaPeriod.Week)] },
    };

    /// <summary>Answers by the question: some are refused at first, some cut at first, and each says what it counted.</summary>
    private RawUpstream Upstream(string account) => new(async exchange =>
    {
        string question = Question().Match(Encoding.UTF8.GetString(exchange.Body)).Value;
        string client = question.Split(' ')[1];
        Count(account, Slots, 1);
        Count(client, AtOnce, 1);
        int seed = question.Sum(c => c);
        int turn = _turns.AddOrUpdate(question, 1, (_, n) => n + 1);
        string text = string.Concat(Enumerable.Range(0, 6).Select(i => Chunk($"{question} word {i} ")));
        int output = 5 + (seed % 40);
        string answer = turn > 1 || seed % 5 > 1 ? RawUpstream.Sse($"{text}{Ending(output)}")
            : seed % 5 == 0 ? RawUpstream.Json(500, """{"error":{"message":"broken"}}""")
            : RawUpstream.Sse(text);
        bool tells = answer.Contains("prompt_tokens", StringComparison.Ordinal);
        _calls.AddOrUpdate(account, 1, (_, n) => n + 1);
        long took = tells ? 10 + output : FirstTokenRule.EstimateTokens(Dialect.Body(Dialect.Chat, stream: true, question: question).Length);
        _tokens.AddOrUpdate(account, took, (_, n) => n + took);
        await Task.Yield();
        Count(client, AtOnce, -1);
        Count(account, Slots, -1);
        if (tells) _counted.AddOrUpdate(client, 10 + output, (_, n) => n + 10 + output);
        await exchange.SendAsync(answer);
    });

    private void Count(string who, int limit, int by)
    {
        int now = _running.AddOrUpdate(who, by, (_, n) => n + by);
        if (now > limit) _broken.Add($"{who} runs {now} of {limit}");
    }

    private static string Chunk(string text) => $"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n";

    private static string Ending(int output) => "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        + $"data: {{\"id\":\"c\",\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{output}}}}}\n\ndata: [DONE]\n\n";

    private static async Task AskAsync(RunningProxy proxy, string client, string id, ConcurrentDictionary<(string, string), int> refusals, CancellationToken stop)
    {
        using HttpResponseMessage response = await SendAsync(proxy, client, id, stop);
        string text = await response.Content.ReadAsStringAsync(stop);
        if (response.StatusCode == HttpStatusCode.OK)
        {
            Assert.Contains("[DONE]", text, StringComparison.Ordinal);
            return;
        }

        Assert.True(response.StatusCode == HttpStatusCode.TooManyRequests, text);
        refusals.AddOrUpdate((client, text.Contains("(tokensPerDay)", StringComparison.Ordinal) ? "tokensPerDay" : "concurrent"), 1, (_, n) => n + 1);
    }

    /// <summary>What the next answer to a client that runs nothing tells is left, and the estimate of the request itself that was taken off.</summary>
    private static async Task<(long Told, long Estimate)> LeftAsync(RunningProxy proxy, string client)
    {
        using HttpResponseMessage response = await SendAsync(proxy, client, "last", TestContext.Current.CancellationToken);
        long told = long.Parse(Assert.Single(response.Headers.GetValues("x-ratelimit-remaining-tokens")), CultureInfo.InvariantCulture);
        return (told, response.StatusCode == HttpStatusCode.OK ? FirstTokenRule.EstimateTokens(response.RequestMessage!.Content!.Headers.ContentLength!.Value) : 0);
    }

    private static Task<HttpResponseMessage> SendAsync(RunningProxy proxy, string client, string id, CancellationToken stop)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true, question: $"ask {client} {id}")) };
        request.Headers.Add("x-api-key", $"sk-{client}.");
        return proxy.Client.SendAsync(request, stop);
    }

    [GeneratedRegex("ask c[0-9]+ [a-z0-9-]+")]
    private static partial Regex Question();
}
