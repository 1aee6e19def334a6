namespace QwenProxy.Core.Tests.Fleet;

public sealed class FencingSimulationTests
{
    private const int Seeds = 10_000;

    [Fact]
    public void FleetWithoutFaults_RefreshesOncePerExpiry()
    {
        Parallel.For(0, Seeds / 10, seed =>
        {
            FencingWorld world = new(seed, kills: false, faults: false);
            world.Begin(4);
            for (int step = 0; step < 2000; step++) world.Step();
            Assert.Equal(0, world.Needless);
            // Some 7,000 s with tokens that last for 360 s before they are due.
            Assert.InRange(world.Refreshes, 12, 22);
        });
    }

    /// <summary>A sign-in server whose refresh tokens serve once, replicas that stand still in the middle, a database that goes away or whose answers are lost.</summary>
    [Fact]
    public void ReplicasThatStandStill_LoseNoLoginAndWriteNothingOutOfTurn()
    {
        int refreshes = 0;
        Parallel.For(0, Seeds, seed =>
        {
            FencingWorld world = Run(seed, kills: false);
            Interlocked.Add(ref refreshes, world.Refreshes);
        });
        Assert.True(refreshes > Seeds / 2, "the histories do refresh");
    }

    /// <summary>A replica that dies takes new tokens with it; the sign-in server takes the ones before them once more.</summary>
    [Fact]
    public void ReplicasThatDie_LoseNoLoginAndWriteNothingOutOfTurn() => Parallel.For(0, Seeds, seed => Run(seed, kills: true));

    private static FencingWorld Run(int seed, bool kills)
    {
        FencingWorld world = new(seed, kills);
        world.Begin(2 + (seed % 4));
        for (int step = 0; step < 200; step++) world.Step();
        world.Heal();
        if (world.WrittenOutOfTurn > 0) Assert.Fail($"seed {seed}: {world.WrittenOutOfTurn} written out of turn");
        if (!world.CanStillRefresh) Assert.Fail($"seed {seed}: the login was lost");
        return world;
    }
}
