namespace QwenProxy.Core.Tests.Fleet;

/// <summary>
/// Replicas that keep one account signed in by the rules of the lease, and a sign-in server whose refresh tokens serve once. Each step of a replica may be
/// the last before it stands still, for longer than its lease or for ever; the database's answers may be lost although it did what it was asked. A replica
/// that holds new tokens and lost its lease takes the lease again, and writes them only when nobody has written since.
/// </summary>
internal sealed class FencingWorld(int seed, bool kills, bool faults = true)
{
    private static readonly TimeSpan s_lifetime = TimeSpan.FromMinutes(8);
    private static readonly TimeSpan s_lead = TimeSpan.FromMinutes(2);

    private readonly Random _random = new(seed);
    private readonly List<Replica> _replicas = [];
    private readonly LeaseRow _row = new();
    private readonly HashSet<long> _good = [1];
    private long _root = 1;
    private long _newest = 1;
    private DateTimeOffset _now = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
    private DateTimeOffset _expires = new(2026, 3, 1, 0, 5, 0, TimeSpan.Zero);
    private DateTimeOffset _awayUntil;

    public int Refreshes { get; private set; }

    /// <summary>Refreshes of tokens that were good for long yet.</summary>
    public int Needless { get; private set; }

    /// <summary>Tokens written that did not follow those that were there: the fence has failed.</summary>
    public int WrittenOutOfTurn { get; private set; }

    /// <summary>The refresh token that the database holds is one that the sign-in server takes.</summary>
    public bool CanStillRefresh => _good.Contains(_row.Generation);

    private bool IsAway => _now < _awayUntil;

    public void Begin(int replicas)
    {
        for (int i = 0; i < replicas; i++) _replicas.Add(new Replica($"r{i}"));
    }

    public void Step()
    {
        _now += TimeSpan.FromSeconds(_random.Next(8));
        int roll = faults ? _random.Next(60) : -1;
        Replica replica = _replicas[_random.Next(_replicas.Count)];
        if (roll == 0) _awayUntil = _now + TimeSpan.FromSeconds(_random.Next(120));
        else if (roll == 1) replica.StandsUntil = _now + TimeSpan.FromSeconds(_random.Next(120));
        else if (roll == 2 && kills && _replicas.Count(r => r.Lives) > 1) replica.Die();
        else if (roll == 3 && _replicas.Count < 8) _replicas.Add(new Replica($"r{_replicas.Count}"));
        foreach (Replica one in _replicas.Where(r => r.Lives && r.StandsUntil <= _now && r.At != Stage.Idle)) Renew(one);
        if (replica.Lives && replica.StandsUntil <= _now) Act(replica);
    }

    /// <summary>All faults end; those that live get time to finish what they were at.</summary>
    public void Heal()
    {
        _awayUntil = _now;
        foreach (Replica replica in _replicas) replica.StandsUntil = _now;
        for (int i = 0; i < 40 || _replicas.Any(r => r.Lives && (r.At != Stage.Idle || r.InHand is not null)); i++)
        {
            _now += TimeSpan.FromSeconds(4);
            foreach (Replica replica in _replicas.Where(r => r.Lives)) Act(replica, isWell: true);
        }
    }

    private void Act(Replica replica, bool isWell = false)
    {
        switch (replica.At)
        {
            case Stage.Idle when (_now + s_lead > _expires && _now >= replica.NotBefore) || replica.InHand is not null: Take(replica, isWell); break;
            case Stage.Calling: Call(replica); break;
            case Stage.Writing: Write(replica, isWell); break;
        }
    }

    private void Renew(Replica replica)
    {
        if (!IsAway) _row.Renew(replica.Fence, _now);
    }

    private void Take(Replica replica, bool isWell)
    {
        if (IsAway || _row.Take(replica.Name, _now) is not { } fence || Loses(isWell)) return;
        replica.Fence = fence;
        if (replica.InHand is not null && replica.From == _row.Version)
        {
            replica.At = Stage.Writing;
            return;
        }

        replica.InHand = null;
        // Under the lease it reads again: another may have refreshed meanwhile.
        if (_now + s_lead <= _expires && _row.Generation == _newest) _row.GiveBack(fence);
        else (replica.At, replica.Sent, replica.From) = (Stage.Calling, _row.Generation, _row.Version);
    }

    private void Call(Replica replica)
    {
        replica.At = Stage.Idle;
        if (!_good.Contains(replica.Sent))
        {
            // Refused: another has used it and may still come with what it got. This one waits for other tokens.
            replica.NotBefore = _now + TimeSpan.FromMinutes(1);
            if (!IsAway) _row.GiveBack(replica.Fence);
            return;
        }

        Refreshes++;
        if (_expires > _now + s_lead) Needless++;
        _expires = _now + s_lifetime;
        Rotate(replica.Sent);
        (replica.At, replica.InHand) = (Stage.Writing, _newest);
    }

    /// <summary>
    /// A refresh token serves once. A server that programs survive a kill with takes the one before too, until one that came of it is used; all that came of it
    /// are good until then.
    /// </summary>
    private void Rotate(long used)
    {
        if (!kills || used != _root) _good.Clear();
        if (kills) _good.Add(used);
        _good.Add(++_newest);
        _root = used;
    }

    private void Write(Replica replica, bool isWell)
    {
        if (IsAway) return;
        // The same tokens once more, because the answer was lost, are no others.
        bool isInTurn = _row.Version == replica.From || _row.Generation == replica.InHand;
        bool isWritten = _row.Write(replica.Fence, replica.InHand!.Value);
        if (isWritten && !isInTurn) WrittenOutOfTurn++;
        if (Loses(isWell)) return;
        replica.At = Stage.Idle;
        if (isWritten) replica.InHand = null;
    }

    /// <summary>The database did it, and its answer never arrives.</summary>
    private bool Loses(bool isWell) => faults && !isWell && _random.Next(8) == 0;

    private enum Stage
    {
        Idle,
        Calling,
        Writing,
    }

    private sealed class Replica(string name)
    {
        public string Name => name;

        public bool Lives { get; private set; } = true;

        public DateTimeOffset StandsUntil { get; set; }

        public DateTimeOffset NotBefore { get; set; }

        public Stage At { get; set; }

        public long Fence { get; set; }

        /// <summary>The version and generation that it went to the sign-in server with.</summary>
        public long From { get; set; }

        public long Sent { get; set; }

        /// <summary>New tokens that are not known to be written.</summary>
        public long? InHand { get; set; }

        public void Die() => (Lives, InHand) = (false, null);
    }
}
