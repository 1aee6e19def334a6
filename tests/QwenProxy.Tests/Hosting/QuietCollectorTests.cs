using QwenProxy.Hosting;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Hosting;

public sealed class QuietCollectorTests
{
    private readonly FakeClock _clock = new();
    private long _allocated;
    private int _collections;

    [Fact]
    public void AfterABurst_CollectsOnceWhenItHasBeenQuietTwice()
    {
        using QuietCollector collector = Start();
        for (int i = 0; i < 3; i++) Look(allocating: 100_000_000);
        Assert.Equal(0, _collections);
        Look(allocating: 0);
        Assert.Equal(0, _collections);
        Look(allocating: 0);
        Assert.Equal(1, _collections);
        for (int i = 0; i < 10; i++) Look(allocating: 0);
        Assert.Equal(1, _collections);
    }

    [Fact]
    public void SlowStreams_AreCollectedOnceTheirGarbageIsWorthIt()
    {
        using QuietCollector collector = Start();
        for (int i = 0; i < QuietCollector.WorthwhileBytes / QuietCollector.QuietBytes - 1; i++) Look(allocating: QuietCollector.QuietBytes);
        Assert.Equal(0, _collections);
        Look(allocating: QuietCollector.QuietBytes);
        Assert.Equal(1, _collections);
    }

    [Fact]
    public void WhileThereIsWork_ItLeavesTheHeapAlone()
    {
        using QuietCollector collector = Start();
        for (int i = 0; i < 10; i++)
        {
            Look(allocating: 100_000_000);
            Look(allocating: 0);
        }

        Assert.Equal(0, _collections);
    }

    private QuietCollector Start() => new(_clock, () => _collections++, () => _allocated);

    private void Look(long allocating)
    {
        _allocated += allocating;
        _clock.Advance(QuietCollector.Interval);
    }
}
