using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Work;

namespace QwenProxy.Benchmarks;

/// <summary>
/// One interleaved run: in every round each work is done by all contestants one after the other, so that what the machine does at that moment meets
/// all of them, and ratios are taken within the round.
/// </summary>
internal sealed class Benchmark(BenchmarkOptions options)
{
    private readonly Results _results = new();

    public async Task<int> RunAsync()
    {
        using Field field = await Field.StartAsync();
        LoadWork[] works = [.. LoadWork.All.Where(w => options.Wants(w.Name))];
        for (int round = 0; round <= options.Rounds; round++)
        {
            // Round 0 is not counted: code is compiled and connections are opened in it.
            Results? into = round == 0 ? null : _results;
            Say(round == 0 ? "warming up" : $"round {round} of {options.Rounds}");
            BenchmarkOptions now = round == 0 ? options.WarmingUp : options;
            foreach (LoadWork work in works) await ForAllAsync(round, work.Name, async c => await work.RunAsync(c, await field.OfAsync(c), now, into), work.IsFor);
            if (options.Wants(LatencyWork.Name)) await MeasureDelayAsync(field, round, into);
            if (round > 0 && round <= options.FreshRounds && options.Wants(FreshWork.StartName)) await ForAllAsync(round, FreshWork.StartName, c => FreshWork.RunAsync(c, field, options, _results));
        }

        if (options.Wants(GatewayWork.Name)) await GatewayWork.RunAsync(field, await NpmGateways.InstallAsync(), options, _results);
        string report = new Report(_results, options).Write();
        System.Console.WriteLine(report);
        if (options.WriteTo is { } file) Report.PutInto(file, report);
        return 0;
    }

    private async Task MeasureDelayAsync(Field field, int round, Results? into)
    {
        await LatencyWork.RunAsync(LatencyWork.Direct, field.StampedPort, options, into);
        await ForAllAsync(round, LatencyWork.Name, async c => await LatencyWork.RunAsync(c.Name, (await field.OfAsync(c, stamped: true)).Port, options, into));
    }

    /// <summary>In another order each round: being first after a pause is neither luck nor bad luck.</summary>
    private static async Task ForAllAsync(int round, string work, Func<Contestant, Task> run, Func<Contestant, bool>? takesPart = null)
    {
        Say($"  {work}");
        Contestant[] all = [.. ContestantList.All.Where(c => takesPart?.Invoke(c) ?? true)];
        for (int i = 0; i < all.Length; i++) await run(all[(i + round) % all.Length]);
    }

    private static void Say(string what) => System.Console.Error.WriteLine(what);
}
