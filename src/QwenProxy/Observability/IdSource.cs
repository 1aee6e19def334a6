using System.Globalization;

namespace QwenProxy.Observability;

/// <summary>Ids that are unique in this run and hard to confuse with another run's: a random beginning and a count.</summary>
internal sealed class IdSource(Random random)
{
    private readonly string _run = random.NextInt64(0, 1L << 40).ToString("x10", CultureInfo.InvariantCulture);
    private long _count;

    public string Next(string prefix) => string.Create(CultureInfo.InvariantCulture, $"{prefix}{_run}{Interlocked.Increment(ref _count):x6}");
}
