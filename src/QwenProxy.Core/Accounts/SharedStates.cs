using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Accounts;

/// <summary>One thing that every replica should know about an account: a cooldown, an open breaker, or that it was switched off. One of the two is set.</summary>
public sealed record SharedState(Cooldown? Cooldown, BreakerRecord? Breaker)
{
    public string Account => Cooldown?.Account ?? Breaker!.Account;

    public bool IsIsolation => Breaker is { State: BreakerState.Isolated };

    /// <summary>What it is about; of one key there is one state.</summary>
    public string Key => Cooldown is { } cooldown
        ? $"{Account}\n{cooldown.Model ?? "*"}\n{cooldown.Kind}"
        : $"{Account}\n{Breaker!.Model}\n{(IsIsolation ? "isolated" : "breaker")}";

    /// <summary>When it ends without anybody's doing; null for what only ends when it is taken back.</summary>
    public DateTimeOffset? Until => Cooldown?.Until;

    /// <summary>Whether others would do the same by either. The time of a breaker's next probe is not told: who may probe is asked for, and each knows its own time.</summary>
    internal bool SaysTheSame(SharedState other) => Cooldown is null || Cooldown == other.Cooldown;
}

/// <param name="Found">To be told to the others.</param>
/// <param name="TakenBack">To be withdrawn with the others.</param>
public sealed record SharedNews(IReadOnlyList<SharedState> Found, IReadOnlyList<SharedState> TakenBack)
{
    public bool IsEmpty => Found.Count == 0 && TakenBack.Count == 0;
}

/// <summary>
/// What the database said last about the accounts, beside which both sides are held: what differs here is news for the others, what differs there is news for
/// this replica. So nothing on the way of a request has to say that something changed, and news that was missed is found at the next look. Of cooldowns that
/// two replicas name at once the later stands in the end with all, since each tells it again until it does.
/// </summary>
public sealed class SharedStates
{
    private readonly Lock _gate = new();
    private Dictionary<string, SharedState> _known = [];

    /// <summary>What this replica has found out or taken back since <see cref="Told"/>.</summary>
    public SharedNews Outgoing(PoolRecord pool, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(pool);
        Dictionary<string, SharedState> here = [];
        // Whether an account is signed in each replica sees by itself, and one that could not look yet must not speak for all.
        foreach (Cooldown cooldown in pool.Cooldowns.Where(c => c.Kind != FaultKind.AccountSignedOut)) Add(new SharedState(cooldown, null));
        foreach (BreakerRecord breaker in pool.Breakers.Where(b => b.State != BreakerState.Closed)) Add(new SharedState(null, breaker));
        lock (_gate)
        {
            SharedState[] found = [.. here.Values.Where(s => !_known.TryGetValue(s.Key, out SharedState? known) || !s.SaysTheSame(known))];
            SharedState[] takenBack = [.. _known.Values.Where(s => !here.ContainsKey(s.Key) && !(s.Until <= now))];
            return new SharedNews(found, takenBack);
        }

        void Add(SharedState state) => here[state.Key] = state;
    }

    /// <summary>The database knows it now.</summary>
    public void Told(SharedNews news)
    {
        ArgumentNullException.ThrowIfNull(news);
        lock (_gate)
        {
            foreach (SharedState state in news.Found) _known[state.Key] = state;
            foreach (SharedState state in news.TakenBack) _known.Remove(state.Key);
        }
    }

    /// <summary>What others have found out or taken back, from all that the database holds now. What has ended meanwhile is neither.</summary>
    public SharedNews Incoming(IEnumerable<SharedState> all, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(all);
        Dictionary<string, SharedState> there = [];
        foreach (SharedState state in all) there[state.Key] = state;
        lock (_gate)
        {
            SharedState[] found = [.. there.Values.Where(s => !(s.Until <= now) && (!_known.TryGetValue(s.Key, out SharedState? known) || !s.SaysTheSame(known)))];
            SharedState[] takenBack = [.. _known.Values.Where(s => !there.ContainsKey(s.Key) && !(s.Until <= now))];
            _known = there;
            return new SharedNews(found, takenBack);
        }
    }
}
