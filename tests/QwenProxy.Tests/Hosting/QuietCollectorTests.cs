using QwenProxy.Hosting;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Hosting;

public sealed class IdleCollectorTests
{
    private readonly FakeClock _clock = new();
    private readonly DrainState _requests = new();
    private long _allocated;
    private int _collections;

    [Fact]
    public void AfterLargeRequests_CollectsOnceWhenNothingRuns()
    {
        using IdleCollector collector = new(_requests, _clock, () => _collections++, () => _allocated);
        _requests.TryEnter(10);
        _allocated = 100_000_000;
        Look(3);
        Assert.Equal(0, _collections);
        _requests.Leave();
        Look(1);
        Assert.Equal(0, _collections);
        Look(1);
        Assert.Equal(1, _collections);
        Look(10);
        Assert.Equal(1, _collections);
        _allocated += 33 * 1024 * 1024;
        Look(1);
        Assert.Equal(2, _collections);
    }

    [Fact]
    public void BetweenShortRequests_AndAfterSmallOnes_ItLeavesTheHeapAlone()
    {
        using IdleCollector collector = new(_requests, _clock, () => _collections++, () => _allocated);
        for (int i = 0; i < 10; i++)
        {
            _requests.TryEnter(10);
            _allocated += 100_000_000;
            _requests.Leave();
            Look(1);
        }

        Assert.Equal(0, _collections);
        Look(1);
        Assert.Equal(1, _collections);
        _requests.TryEnter(10);
        _requests.Leave();
        _allocated += 1_000_000;
        Look(5);
        Assert.Equal(1, _collections);
    }

    private void Look(int times)
    {
        for (int i = 0; i < times; i++) _clock.Advance(IdleCollector.Interval);
    }
}
