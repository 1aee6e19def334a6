using System.Diagnostics;
using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Load;

namespace QwenProxy.Benchmarks.Work;

/// <summary>Figures of a fresh process: the time to its first 200, its memory at rest, and memory and CPU under many slow streams.</summary>
internal static class FreshWork
{
    public const string StartName = "start and memory";
    public const string FirstMeasure = "first 200, ms";
    public const string IdleMeasure = "idle, MiB";
    public const string SlowMeasure = "slow streams, MiB";
    public const string SlowCpuMeasure = "slow streams, CPU ms/s";
    public const string FailuresMeasure = "slow streams, errors";

    /// <summary>With 2,000 streams: a thousand events a second.</summary>
    private const int SlowGapMilliseconds = 2000;

    public static async Task RunAsync(Contestant contestant, Field field, BenchmarkOptions options, Results results)
    {
        long began = Stopwatch.GetTimestamp();
        using Child child = field.Launch(contestant);
        await child.WaitUntilListeningAsync();
        Tally one = new();
        byte[] small = Requests.Of(Api.Chat, "sim-events?count=1", true, 1024);
        await new LoadConnection(child.Port, small, one).RunAsync(1, CancellationToken.None);
        if (one.Requests != 1) throw new InvalidOperationException($"{contestant.Name} did not answer its first request.");
        results.Add(StartName, FirstMeasure, contestant.Name, Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        await Task.Delay(1000);
        results.Add(StartName, IdleMeasure, contestant.Name, child.ResidentMiB());

        Tally tally = new();
        using CancellationTokenSource stop = new();
        byte[] slow = Requests.Of(Api.Chat, $"sim-events?count=1000&gap={SlowGapMilliseconds}", true, 1024);
        List<Task> streams = [];
        for (int i = 0; i < options.SlowStreams; i++)
        {
            streams.Add(new LoadConnection(child.Port, slow, tally).RunAsync(1, stop.Token));
            // Spread over one gap, as clients that come one after the other are.
            if (i % 10 == 9) await Task.Delay(SlowGapMilliseconds * 10 / options.SlowStreams);
        }

        await Task.Delay(SlowGapMilliseconds + (int)options.Settle.TotalMilliseconds);
        TimeSpan cpu = child.Cpu();
        long measured = Stopwatch.GetTimestamp();
        await Task.Delay(SlowGapMilliseconds * 2);
        cpu = child.Cpu() - cpu;
        results.Add(StartName, SlowCpuMeasure, contestant.Name, cpu.TotalMilliseconds / Stopwatch.GetElapsedTime(measured).TotalSeconds);
        results.Add(StartName, SlowMeasure, contestant.Name, child.ResidentMiB());
        results.Add(StartName, FailuresMeasure, contestant.Name, tally.Failures);
        await stop.CancelAsync();
        await Task.WhenAll(streams);
    }
}
