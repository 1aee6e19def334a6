using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Tests.Fleet;

public sealed class BudgetSimulationTests
{
    private const int Seeds = 10_000;
    private const long Limit = 5_000;

    /// <summary>Replicas that die, stand still and come back, a database that goes away, messages lost, doubled and late.</summary>
    [Fact]
    public void FleetWithFaults_NeverSpendsMoreThanTheBoundAndBooksWhatItHandsOut()
    {
        long most = 0;
        Parallel.For(0, Seeds, seed =>
        {
            int largest = seed % 2 == 0 ? 20 : 200;
            BudgetWorld world = new(seed, Limit);
            for (int step = 0; step < 120; step++)
            {
                world.Step(largest);
                bool isBooked = world.IsCovered && world.Parts == world.Book.Held && world.LostParts == world.Book.Lost && world.Book.Used <= world.Spent;
                bool isWithin = world.Spent <= (Limit * 104 / 100) + world.InFlight;
                if (!isBooked || !isWithin) Assert.Fail($"seed {seed}, step {step}: {world.Spent} spent of {Limit}, {world.InFlight} of it in flight; {world.Book}");
            }

            InterlockedMax(ref most, world.Spent);
        });
        // The histories do reach the limit, else the bound would prove nothing.
        Assert.True(most > Limit, $"the most that was spent: {most}");
    }

    /// <summary>What is held by replicas that have no use for it comes to the one that has; only what the dead may hold beyond the slack stays away.</summary>
    [Fact]
    public void FleetThatIsWellAgain_SpendsTheWholeBudget()
    {
        Parallel.For(0, Seeds / 40, seed =>
        {
            BudgetWorld world = new(seed, Limit);
            for (int step = 0; step < 100; step++) world.Step(20);
            world.SpendAll(20);
            long lost = Math.Max(0, world.Book.Lost - (Limit / 50));
            Assert.True(world.Book.Used + lost >= Limit * 97 / 100, $"seed {seed}: {world.Book.Used} of {Limit} used, {lost} lost, {world.Book.Held} held");
            Assert.True(world.Spent <= (Limit * 104 / 100) + world.InFlight);
        });
    }

    private static void InterlockedMax(ref long most, long value)
    {
        long seen = Interlocked.Read(ref most);
        while (value > seen)
        {
            long before = Interlocked.CompareExchange(ref most, value, seen);
            if (before == seen) return;
            seen = before;
        }
    }
}
