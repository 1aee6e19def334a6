using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Simulator;
using QwenProxy.Tests.Proxying;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

/// <summary>What happened on a request's way is in its row: each attempt, wait, break and resume, what repair did, and what a person can do.</summary>
public sealed class RequestWayTests : IDisposable
{
    private static readonly string[] s_members = ["step", "account", "model", "status", "said"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task AttemptThatFailed_AndTheOneThatAnswered_AreBothThere()
    {
        await using SimulatorServer bad = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-500" });
        await using SimulatorServer good = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "stutter-s2" });
        LedgerEntry row = await AskAsync([RunningProxy.Account("bad", bad.BaseUrl), RunningProxy.Account("good", good.BaseUrl, priority: 1)]);
        Assert.Equal(["attempt bad m 500 server_error", "attempt good m  "], Steps(row).Where(s => !s.StartsWith("pause", StringComparison.Ordinal)));
        Assert.True(row.Repaired > 0);
        using JsonDocument repairs = JsonDocument.Parse(row.Repairs!);
        JsonElement repair = repairs.RootElement.EnumerateArray().First(r => r.GetProperty("action").GetString() == "removed");
        Assert.Equal("stutter", repair.GetProperty("stage").GetString());
        Assert.InRange(repair.GetProperty("count").GetInt32(), 1, row.Repaired);
        UsageSum sum = Assert.Single(LedgerQueries.Sums(FilePath, null, [], TimeZoneInfo.Utc));
        Assert.Equal(new SavedAnswers(1, 0, 1), sum.Saved);
    }

    [Fact]
    public async Task StreamThatBroke_AndItsResume_AreBothThere()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:cut?events=5&how=rst|healthy" });
        LedgerEntry row = await AskAsync([RunningProxy.Account("up", upstream.BaseUrl)]);
        Assert.Equal(["attempt up m  ", "break up m 502 cut", "attempt up m  ", "resume up m  "], Steps(row).Where(s => !s.StartsWith("pause", StringComparison.Ordinal)));
        Assert.Equal((1, "complete"), (row.Resumes, row.End));
        Assert.Equal(new SavedAnswers(0, 1, 0), Assert.Single(LedgerQueries.Sums(FilePath, null, [], TimeZoneInfo.Utc)).Saved with { Repaired = 0 });
    }

    [Fact]
    public async Task OrdinaryRequest_HasNothingToAdd()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        LedgerEntry row = await AskAsync([RunningProxy.Account("up", upstream.BaseUrl)], requests: 3);
        // The first one may take its time, since the program has just begun to run.
        Assert.Equal(("complete", null, null, 0), (row.End, row.Steps, row.Repairs, row.Repaired));
    }

    [Fact]
    public async Task Refusal_KeepsWhatToDo()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-401-key" });
        LedgerEntry row = await AskAsync([RunningProxy.Account("up", upstream.BaseUrl)]);
        Assert.NotEqual("complete", row.End);
        Assert.Contains("qwen-proxy doctor", row.Fix, StringComparison.Ordinal);
        Assert.StartsWith("attempt up m 401 ", Assert.Single(Steps(row)), StringComparison.Ordinal);
    }

    private string FilePath => _folder.Of(LedgerFile.Name);

    private async Task<LedgerEntry> AskAsync(IEnumerable<AccountSnapshot> accounts, int requests = 1)
    {
        await using (RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [.. accounts], Storage = new StorageSnapshot { DataFolder = _folder.Path } }))
        {
            for (int i = 0; i < requests; i++)
            {
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
                await RunningProxy.ReadAsync(response);
            }

            await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == requests, TimeSpan.FromSeconds(20));
        }

        return LedgerQueries.Read(FilePath, null).Last();
    }

    private static string[] Steps(LedgerEntry row)
    {
        using JsonDocument steps = JsonDocument.Parse(row.Steps!);
        return [.. steps.RootElement.EnumerateArray().Select(s => string.Join(' ', s_members.Select(n => s.TryGetProperty(n, out JsonElement value) ? value.ToString() : "")))];
    }
}
