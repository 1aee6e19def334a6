using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using QwenProxy.Ledger;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

/// <summary>The program killed without a word, again and again, on one ledger: at most the last second is missing, and the file is whole.</summary>
public sealed class LedgerKillTests : IDisposable
{
    private static readonly TimeSpan s_mayBeLost = TimeSpan.FromSeconds(1);

    private readonly TemporaryFolder _home = new();

    public void Dispose() => _home.Dispose();

    [Fact]
    public async Task KilledProxy_LosesAtMostItsLastSecond()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("There is no SIGKILL.");
        const string answer = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(answer));
        string data = _home.Of("data");
        Dictionary<string, string> variables = new()
        {
            ["PORT"] = "0",
            ["QWEN_API_KEY"] = "k",
            ["QWEN_BASE_URL"] = upstream.BaseUrl.AbsoluteUri,
            ["QWEN_PROXY_DATA"] = data,
        };
        ConcurrentBag<string> mustBeThere = [];
        TimeSpan stall = TimeSpan.Zero;
        for (int run = 0; run < 4; run++)
        {
            using ProxyProcess proxy = ProxyProcess.Start(_home.Path, variables, "serve");
            using HttpClient client = new() { BaseAddress = await proxy.AddressAsync() };
            ConcurrentBag<(string Id, TimeSpan At)> ended = [];
            long begin = TimeProvider.System.GetTimestamp();
            TimeSpan Now() => TimeProvider.System.GetElapsedTime(begin);
            Task[] clients = [.. Enumerable.Range(0, 4).Select(_ => AskUntilItDiesAsync(client, id => ended.Add((id, Now()))))];
            // The kill hits it at work, each time at another moment, and never before something has to be there.
            TimeSpan length = TimeSpan.FromMilliseconds(2000 + (run * 170));
            TimeSpan last = Now();
            await Until.TrueAsync(
                () =>
                {
                    // A machine that is so busy that it lets this loop wait lets the writer wait as well.
                    stall = Now() - last > stall ? Now() - last : stall;
                    last = Now();
                    return Now() > length && ended.Any(e => e.At < Now() - s_mayBeLost - (stall * 2));
                },
                TimeSpan.FromSeconds(60));
            TimeSpan killed = Now();
            proxy.Signal("KILL");
            await proxy.ExitCodeAsync();
            await Task.WhenAll(clients);
            foreach ((string id, TimeSpan at) in ended.Where(e => e.At < killed - s_mayBeLost - (stall * 2))) mustBeThere.Add(id);
        }

        string path = Path.Combine(data, LedgerFile.Name);
        HashSet<string> written = [.. LedgerQueries.Read(path, null).Select(e => e.RequestId)];
        Assert.NotEmpty(mustBeThere);
        Assert.DoesNotContain(mustBeThere, id => !written.Contains(id));
        using SqliteConnection check = LedgerFile.Open(path);
        using SqliteCommand integrity = check.CreateCommand();
        integrity.CommandText = "PRAGMA integrity_check";
        Assert.Equal("ok", integrity.ExecuteScalar());
        Assert.Equal(0, LedgerSchemaTests.Differences(check));
    }

    private static async Task AskUntilItDiesAsync(HttpClient client, Action<string> ended)
    {
        try
        {
            while (true)
            {
                using HttpResponseMessage response = await client.PostAsync("/v1/chat/completions", RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)));
                await response.Content.ReadAsStringAsync();
                ended(Assert.Single(response.Headers.GetValues("x-request-id")));
            }
        }
        catch (HttpRequestException)
        {
            // It was killed.
        }
    }
}
