using System.Diagnostics;
using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Load;

namespace QwenProxy.Benchmarks.Work;

/// <summary>A load of one kind kept up for a while: requests and events a second, and the CPU time each costs the contestant.</summary>
/// <param name="Name">As it stands in the tables.</param>
/// <param name="Scenario">Of the simulator.</param>
/// <param name="Stream">Whether the client asks for a stream.</param>
/// <param name="BodyBytes">Size of the request's body.</param>
/// <param name="Connections">How many at once.</param>
/// <param name="PerEvent">CPU time is counted by event, else by request.</param>
internal sealed record LoadWork(string Name, string Scenario, bool Stream, int BodyBytes, int Connections, bool PerEvent)
{
    /// <summary>The wire API of client and upstream.</summary>
    public Api Api { get; init; }

    /// <summary>The proxy's account that is named with the model; empty for none. Others do not know accounts: such a work is the proxy's alone.</summary>
    public string Account { get; init; } = "";

    /// <summary>Lines that the request has beside the usual ones, with their ends.</summary>
    public string Headers { get; init; } = "";

    /// <summary>The work in chat that this one is the same as, in another wire API; null for none.</summary>
    public string? Beside { get; init; }

    public const string CpuMeasure = "cpu µs";
    public const string RateMeasure = "per second";
    public const string OwnShareMeasure = "load generator's cores";

    private const string FullSpeed = "200 events at full speed, 256 connections";

    public static IReadOnlyList<LoadWork> All { get; } =
    [
        new("JSON folded from 8 events, 1 KiB request, 1 connection", "events?count=8&bytes=100", false, 1024, 1, false),
        new("JSON folded from 8 events, 1 KiB request, 64 connections", "events?count=8&bytes=100", false, 1024, 64, false),
        new("JSON passed, 1 KiB request, 64 connections", "json-200", false, 1024, 64, false),
        new("stream of 1 event, 1 KiB request, 64 connections", "events?count=1", true, 1024, 64, false),
        new("stream of 1 event, 1 MiB request, 8 connections", "events?count=1", true, 1024 * 1024, 8, false),
        new("200 events at full speed, 32 connections", "events?count=200", true, 1024, 32, true),
        new(FullSpeed, "events?count=200", true, 1024, 256, true),
        new("Messages, native", "events?count=200", true, 1024, 256, true) { Api = Api.Messages, Beside = FullSpeed },
        new("Responses, native", "events?count=200", true, 1024, 256, true) { Api = Api.Responses, Beside = FullSpeed },
        new("Messages, asked for in chat", "events?count=200", true, 1024, 256, true) { Api = Api.Messages, Beside = FullSpeed, Account = ContestantList.ChatOnlyAccount },
        new("Responses, asked for in chat", "events?count=200", true, 1024, 256, true) { Api = Api.Responses, Beside = FullSpeed, Account = ContestantList.ChatOnlyAccount },
        new("200 events at full speed, a write each, 8 connections", "events?count=200&flush=1", true, 1024, 8, true),
        new("paced, 5 ms, 32 streams", "events?count=200&gap=5", true, 1024, 32, true),
        new("paced, 20 ms, 256 streams", "events?count=100&gap=20", true, 1024, 256, true),
    ];

    /// <summary>Whether a contestant takes part: a work that names an account is the proxy's alone.</summary>
    public bool IsFor(Contestant contestant) => Account.Length == 0 || contestant.Name is ContestantList.Proxy or ContestantList.Jit;

    public async Task RunAsync(Contestant contestant, Child child, BenchmarkOptions options, Results? results)
    {
        Tally tally = new();
        using CancellationTokenSource stop = new();
        byte[] request = Request();
        // Connections open over one gap, so that paced events do not all come at one moment.
        Task[] connections = [.. Enumerable.Range(0, Connections).Select(i => StartAsync(child.Port, request, tally, i, stop.Token))];
        await Task.Delay(options.Settle + TimeSpan.FromMilliseconds(20));
        Process own = Process.GetCurrentProcess();
        own.Refresh();
        TimeSpan ownBefore = own.TotalProcessorTime, cpuBefore = child.Cpu();
        (long requests, long events) = (tally.Requests, tally.Events);
        long began = Stopwatch.GetTimestamp();
        await Task.Delay(options.Measure);
        TimeSpan took = Stopwatch.GetElapsedTime(began), cpu = child.Cpu() - cpuBefore;
        own.Refresh();
        TimeSpan ownCpu = own.TotalProcessorTime - ownBefore;
        requests = tally.Requests - requests;
        events = tally.Events - events;
        await stop.CancelAsync();
        await Task.WhenAll(connections);
        long units = PerEvent ? events : requests;
        if (tally.Failures > 0 || (units == 0 && results is not null)) throw new InvalidOperationException($"{contestant.Name}, {Name}: {tally.Failures} requests failed, {units} counted.");
        if (results is null) return;
        results.Add(Name, CpuMeasure, contestant.Name, cpu.TotalMicroseconds / units);
        results.Add(Name, RateMeasure, contestant.Name, units / took.TotalSeconds);
        results.Add(Name, OwnShareMeasure, contestant.Name, ownCpu / took);
    }

    /// <summary>The load of the first work whose name holds the words, for some time, against whatever listens on the port.</summary>
    public static async Task<int> RunAloneAsync(int port, string words, TimeSpan time)
    {
        LoadWork work = All.First(w => w.Name.Contains(words, StringComparison.OrdinalIgnoreCase));
        Tally tally = new();
        byte[] request = work.Request();
        using CancellationTokenSource stop = new(time);
        await Task.WhenAll(Enumerable.Range(0, work.Connections).Select(i => StartAsync(port, request, tally, i, stop.Token)));
        System.Console.WriteLine($"{work.Name}: {tally.Requests} requests, {tally.Events} events, {tally.Failures} failures");
        return tally.Failures == 0 ? 0 : 1;
    }

    private byte[] Request() => Requests.Of(Api, Account.Length == 0 ? $"sim-{Scenario}" : $"{Account}/sim-{Scenario}", Stream, BodyBytes, Headers);

    private static async Task StartAsync(int port, byte[] request, Tally tally, int number, CancellationToken stop)
    {
        await Task.Delay(number % 20, CancellationToken.None);
        await new LoadConnection(port, request, tally).RunAsync(int.MaxValue, stop);
    }
}
