using System.Globalization;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>
/// Thousands of simulated worlds, each decided by its seed. A failure names the seed; <c>QWEN_SIMULATION_SEED=N</c> runs that one alone and prints
/// what happens in it, <c>QWEN_SIMULATION_COUNT=N</c> runs another number of them.
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    private const int DefaultCount = 4000;

    private static readonly string[] MustHappen =
    [
        "end: complete", "end: hung up", "end: Cut", "end: InvalidRequest", "end: ContentFilter", "end: AccountsCooling", "end: CircuitOpen", "end: RateLimited", "end: ResumeDiffers", "wait",
        "attempt after a resume", "fallback model", "probe", "breaker opens", "breaker closes", "last resort", "hedge", "withdrawn", "whole answer begun anew", "hang-up during an attempt", "lease refused, decided anew",
        "Replay: complete", "Replay: Cut", "Replay: IdleTimeout", "Prefill: complete", "Prefill: Cut", "prefill refused",
    ];

    [Fact]
    public void AnySeed_KeepsEveryRule()
    {
        if (int.TryParse(Environment.GetEnvironmentVariable("QWEN_SIMULATION_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out int only))
        {
            new Simulation(only, trace: output.WriteLine).Run();
            return;
        }

        int count = int.TryParse(Environment.GetEnvironmentVariable("QWEN_SIMULATION_COUNT"), NumberStyles.None, CultureInfo.InvariantCulture, out int asked) ? asked : DefaultCount;
        Dictionary<string, int> tally = [];
        for (int seed = 1; seed <= count; seed++)
        {
            Simulation simulation = new(seed);
            string? broken = Run(simulation);
            Assert.True(broken is null, $"Seed {seed}: {broken}. QWEN_SIMULATION_SEED={seed} shows the run.");
            foreach ((string what, int times) in simulation.Rules.Tally) tally[what] = tally.GetValueOrDefault(what) + times;
        }

        output.WriteLine($"{count} seeds: {string.Join(", ", tally.OrderByDescending(t => t.Value).Select(t => $"{t.Key} {t.Value}"))}");
        Assert.All(MustHappen, what => Assert.True(tally.GetValueOrDefault(what) > 0, $"'{what}' never happened: the simulation does not look at it."));
    }

    [Fact]
    public void SameSeed_GivesTheSameRun()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            List<string> first = [];
            List<string> second = [];
            new Simulation(seed, trace: first.Add).Run();
            new Simulation(seed, trace: second.Add).Run();
            Assert.NotEmpty(first);
            Assert.Equal(first, second);
        }
    }

    [Theory]
    [InlineData((int)Sabotage.LoseLeases, "lease")]
    [InlineData((int)Sabotage.RetryFinal, "final")]
    [InlineData((int)Sabotage.SkipWaits, "waits as long as was decided")]
    [InlineData((int)Sabotage.BlameHangUps, "hang-up during an attempt. moves no breaker")]
    [InlineData((int)Sabotage.BlameLosers, "withdrawn. moves no breaker")]
    [InlineData((int)Sabotage.ForgetLosers, "attempts per model stay within the budget")]
    [InlineData((int)Sabotage.TrustResumes, "the client reads|one role|shown once")]
    [InlineData((int)Sabotage.ForgetWaits, "all waits")]
    [InlineData((int)Sabotage.IgnoreBreaker, "probes|nobody is asked before")]
    public void MistakeInTheDriver_IsFoundByARule(int sabotage, string rule)
    {
        for (int seed = 1; seed <= DefaultCount; seed++)
        {
            if (Run(new Simulation(seed, (Sabotage)sabotage)) is not { } broken) continue;
            Assert.Matches(rule, broken);
            return;
        }

        Assert.Fail("No rule found the mistake.");
    }

    private static string? Run(Simulation simulation)
    {
        try
        {
            simulation.Run();
            return null;
        }
        catch (RuleBrokenException broken)
        {
            return broken.Message;
        }
    }
}
