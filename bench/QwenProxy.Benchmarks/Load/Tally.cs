namespace QwenProxy.Benchmarks.Load;

/// <summary>What all connections of a run have seen.</summary>
internal sealed class Tally
{
    private long _requests;
    private long _events;
    private long _failures;

    public long Requests => Interlocked.Read(ref _requests);

    public long Events => Interlocked.Read(ref _events);

    public long Failures => Interlocked.Read(ref _failures);

    public void Request() => Interlocked.Increment(ref _requests);

    public void Add(int events)
    {
        if (events > 0) Interlocked.Add(ref _events, events);
    }

    public void Failure() => Interlocked.Increment(ref _failures);
}
