using System.Collections.Immutable;

namespace QwenProxy.Storage;

/// <summary>The fleet as this replica sees it: for people, and for how limits are divided.</summary>
internal sealed class FleetView(FleetDatabase database, Replica self, TimeProvider time)
{
    /// <summary>A question to the database that takes longer is told of. Nothing waits for one.</summary>
    public static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(500);

    private ImmutableArray<Replica> _others = [];
    private long _readAt;
    private TimeSpan _lastTook;

    public Replica Self { get; set; } = self;

    public string Database => database.Name;

    public DatabaseTrouble? Trouble => database.Trouble;

    /// <summary>The others that were heard of lately, as far as the database could be asked lately.</summary>
    public ImmutableArray<Replica> Others => _others;

    /// <summary>How many share the limits. While the database is away, as many as there were.</summary>
    public int Live => _others.Length + 1;

    /// <summary>The time since the others were read.</summary>
    public TimeSpan Age => time.GetElapsedTime(Volatile.Read(ref _readAt));

    /// <summary>What is not as it should be, while requests are served as ever; null when all is well.</summary>
    public string? Degraded()
    {
        if (database.Trouble is { } trouble) return $"the database {database.Name} does not serve since {trouble.Since.UtcDateTime:HH:mm:ss} UTC ({trouble.Problem})";
        return _lastTook > Slow ? $"the database {database.Name} took {_lastTook.TotalSeconds:0.0} s to answer" : null;
    }

    public void Read(IEnumerable<Replica> all, TimeSpan took)
    {
        ImmutableInterlocked.InterlockedExchange(ref _others, [.. all.Where(r => r.Id != Self.Id && r.Silent < ReplicaTable.GivenUpAfter)]);
        _lastTook = took;
        Volatile.Write(ref _readAt, time.GetTimestamp());
    }
}
