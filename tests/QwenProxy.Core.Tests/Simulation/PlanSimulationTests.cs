using System.Globalization;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>
/// Many simulated months of plans, each decided by its seed. A failure names the seed; <c>QWEN_PLANS_SEED=N</c> runs that one alone and prints what happens
/// in it, <c>QWEN_SIMULATION_COUNT=N</c> runs another number of them.
/// </summary>
public sealed class PlanSimulationTests(ITestOutputHelper output)
{
    private const int DefaultCount = 1200;

    private static readonly string[] s_mustHappen =
    [
        "end: answered", "end: killed", "end: waited too long", "end: no room to wait", "end: sent away", "end: QuotaReserved", "end: QuotaExhausted", "last resort", "refused for its quota", "waits for a slot", "slot granted",
        "killed while calls ran", "count compared", "lease refused, decided anew",
    ];

    [Fact]
    public void AnySeed_KeepsEveryRule()
    {
        if (int.TryParse(Environment.GetEnvironmentVariable("QWEN_PLANS_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out int only))
        {
            new PlanSimulation(only, trace: output.WriteLine).Run();
            return;
        }

        int count = int.TryParse(Environment.GetEnvironmentVariable("QWEN_SIMULATION_COUNT"), NumberStyles.None, CultureInfo.InvariantCulture, out int asked) ? asked : DefaultCount;
        Dictionary<string, int> tally = [];
        List<string> broken = [];
        for (int seed = 1; seed <= count && broken.Count < 10; seed++)
        {
            PlanSimulation simulation = new(seed);
            if (Run(simulation) is { } rule) broken.Add($"Seed {seed}: {rule}. QWEN_PLANS_SEED={seed} shows the run.");
            foreach ((string what, int times) in simulation.Rules.Tally) tally[what] = tally.GetValueOrDefault(what) + times;
        }

        Assert.True(broken.Count == 0, string.Join('\n', broken));
        output.WriteLine($"{count} seeds: {string.Join(", ", tally.OrderByDescending(t => t.Value).Select(t => $"{t.Key} {t.Value}"))}");
        Assert.All(s_mustHappen, what => Assert.True(tally.GetValueOrDefault(what) > 0, $"'{what}' never happened: the simulation does not look at it."));
    }

    [Theory]
    [InlineData((int)PlanSabotage.LoseCounts, "is not asked beyond|counted right|are kept|refuses nobody")]
    [InlineData((int)PlanSabotage.SpendReserve, "are kept")]
    [InlineData((int)PlanSabotage.IgnoreWall, "is not asked beyond|rests until its reset|refuses nobody")]
    [InlineData((int)PlanSabotage.FreeTwice, "at once at most|slots come back")]
    [InlineData((int)PlanSabotage.CountRefusals, "counted right")]
    public void MistakeInTheDriver_IsFoundByARule(int sabotage, string rule)
    {
        for (int seed = 1; seed <= DefaultCount; seed++)
        {
            if (Run(new PlanSimulation(seed, (PlanSabotage)sabotage)) is not { } broken) continue;
            Assert.Matches(rule, broken);
            return;
        }

        Assert.Fail("No rule found the mistake.");
    }

    private static string? Run(PlanSimulation simulation)
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
