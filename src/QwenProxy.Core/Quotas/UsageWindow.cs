using System.Runtime.InteropServices;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Quotas;

/// <summary>What it tells when upstream serves a call for which nothing was left.</summary>
internal enum Contradiction
{
    None,
    Some,
    Whole,
}

/// <summary>
/// Counts one window of one account. What was used stands in counts of a sixtieth of the window, so a window that slides lets go of it up to that much late
/// and never early. What calls that run may take is kept beside it. Not thread-safe: the pool's lock covers it.
/// </summary>
internal sealed partial class UsageWindow(string account, QuotaRule rule, string? model)
{
    private const int Grains = 60;

    /// <summary>A window that never ends would gather counts without end.</summary>
    private const int MostCounts = 400;

    /// <summary>A window that is used up by this proxy's own count is asked again after so long: people top up, and months begin on days that nobody told.</summary>
    private static readonly TimeSpan s_relook = TimeSpan.FromHours(24);

    /// <summary>So long a window that slides is taken at upstream's word where the own count cannot tell when there is room again.</summary>
    private static readonly TimeSpan s_guess = TimeSpan.FromMinutes(15);

    private readonly List<Count> _counts = [];
    private (DateTimeOffset Start, DateTimeOffset End)? _around;
    private decimal? _told;
    private decimal? _learned;
    private DateTimeOffset? _exhausted;
    private DateTimeOffset? _heldSince;
    private decimal _beyond;
    private int _warned;

    /// <summary>An edit of the configuration may change limits, rates and the day on which a month begins.</summary>
    public QuotaRule Rule
    {
        get => rule;
        set => (rule, _around) = (value, null);
    }


    public string? Model => model;

    public DateTimeOffset Since { get; private set; }

    public decimal Used { get; private set; }

    /// <summary>For calls that run.</summary>
    public decimal Reserved { get; private set; }

    /// <summary>What is known for certain, upstream's word before the plan's.</summary>
    private decimal? Stated => _told ?? Rule.Limit;

    public decimal? Limit => Stated ?? _learned;

    private TimeSpan Grain => Rule.Length / Grains;

    /// <summary>Lets go of what has left the window.</summary>
    public void Turn(DateTimeOffset now)
    {
        if (Since == default) Since = now;
        if (_around is not { } around || now < around.Start || now >= around.End)
        {
            // A clock that goes back opens no window anew.
            if (_around is not null && now < _around.Value.Start) return;
            if (_around is not null) (_exhausted, _beyond) = (null, 0);
            _around = Rule.Around(now);
        }

        int gone = 0;
        while (gone < _counts.Count && HasLeft(_counts[gone], now)) Used -= _counts[gone++].Used;
        if (gone > 0) _counts.RemoveRange(0, gone);
    }

    /// <summary>A call that takes so much would go beyond what is known for certain, and it is not time to see whether that is still so.</summary>
    public bool Holds(decimal need, DateTimeOffset now)
    {
        Turn(now);
        if (!Blocks(need))
        {
            _heldSince = null;
            return false;
        }

        _heldSince ??= now;
        return now - _heldSince < s_relook;
    }

    /// <summary>A call that takes so much would go into the part that is kept.</summary>
    public bool Keeps(decimal need, int percent) => Limit is { } limit && Used + Reserved + need > limit * (100 - percent) / 100;

    /// <summary>A call begins. What it would tell if upstream served it: nothing new, that more is left than was counted, or that the count is not upstream's at all.</summary>
    public Contradiction Reserve(decimal amount, DateTimeOffset now)
    {
        Turn(now);
        Contradiction found = Contradiction.None;
        // What a window that slides is about to let go of, upstream may have let go of already.
        if (Stated is { } limit && Used - Leaving(now) >= limit) found = now - _heldSince >= s_relook ? Contradiction.Whole : Contradiction.Some;
        if (_heldSince is not null) _heldSince = now;
        Reserved += amount;
        return found;
    }

    /// <summary>A call is over.</summary>
    /// <param name="reserved">What <see cref="Reserve"/> was given.</param>
    /// <param name="taken">What it took; null when upstream did not take it on.</param>
    /// <param name="at">When it began, which is when upstream counts.</param>
    /// <param name="found">What <see cref="Reserve"/> returned, where upstream has served it.</param>
    public void Settle(decimal reserved, decimal? taken, DateTimeOffset at, Contradiction found)
    {
        Reserved -= reserved;
        if (taken is not { } amount) return;
        if (found != Contradiction.None) PutRight(amount, found, at);
        if (_exhausted <= at) _exhausted = null;
        Add(amount, at);
        if (_learned < Used) _learned = null;
    }

    /// <summary>
    /// Upstream refused a call because this is used up. Where the own count says less of a stated limit, others use the plan as well, and what they took leaves
    /// with the window's end; where no limit is stated and all of the window was seen, what was counted is the limit.
    /// </summary>
    /// <returns>When there is room again; null when that is not known.</returns>
    public DateTimeOffset? Exhaust(DateTimeOffset now)
    {
        Turn(now);
        _exhausted = now;
        if (!Rule.IsCounted) return _around?.End;
        if (Stated is { } limit)
        {
            if (!Rule.Slides && Used < limit) Add(limit - Used, now);
            if (Rule.Slides && Used >= limit * 0.9m) return Leaves(_counts[0]);
        }
        else if (Used > 0 && Since <= (_around?.Start ?? now - Rule.Length)) _learned = Used;
        return _around?.End;
    }

    /// <summary>Upstream told in its headers how much there is and how much is left, with the call that runs already taken off.</summary>
    public void Tell(decimal limit, decimal remaining, DateTimeOffset now)
    {
        Turn(now);
        _told = limit;
        Add(Math.Max(0, limit - remaining - 1) - Used, now);
    }

    /// <summary>What was counted is void: by command, or because upstream proved it wrong.</summary>
    public void CountAnew(DateTimeOffset now)
    {
        _counts.Clear();
        (Used, Since) = (0, now);
        (_exhausted, _learned, _heldSince, _beyond) = (null, null, null, 0);
    }

    /// <summary>
    /// Upstream served although nothing was left: a little more is left than was counted. When that goes on, or was so after a day of rest, the window began
    /// anew without our knowing or is larger than is stated; how much, the next refusal will tell.
    /// </summary>
    private void PutRight(decimal amount, Contradiction found, DateTimeOffset at)
    {
        _beyond += amount;
        if (found == Contradiction.Whole || Stated is not { } limit || _beyond > Math.Max(10, limit / 20)) CountAnew(at);
        else Drop(Used - (limit - 1));
    }

    private bool Blocks(decimal need) => Stated is { } limit && Used + Reserved + need > limit;

    private bool HasLeft(Count count, DateTimeOffset now) => Rule.Slides ? Leaves(count) <= now : _around is { } around && count.From < around.Start;

    private DateTimeOffset Leaves(Count count) => count.From + Grain + Rule.Length;

    private decimal Leaving(DateTimeOffset now)
    {
        decimal leaving = 0;
        for (int i = 0; Rule.Slides && i < _counts.Count && _counts[i].From + Rule.Length <= now; i++) leaving += _counts[i].Used;
        return leaving;
    }

    /// <summary>Takes so much out of the oldest counts.</summary>
    private void Drop(decimal amount)
    {
        for (int i = 0; i < _counts.Count && amount > 0; i++)
        {
            decimal part = Math.Min(amount, _counts[i].Used);
            CollectionsMarshal.AsSpan(_counts)[i].Used -= part;
            Used -= part;
            amount -= part;
        }
    }

    private void Add(decimal amount, DateTimeOffset at)
    {
        DateTimeOffset from = GrainOf(at);
        int index = _counts.Count;
        while (index > 0 && _counts[index - 1].From > from) index--;
        if (index > 0 && _counts[index - 1].From == from) CollectionsMarshal.AsSpan(_counts)[index - 1].Used += amount;
        else _counts.Insert(index, new Count { From = from, Used = amount });
        Used += amount;
        if (_counts.Count <= MostCounts) return;
        _counts[1] = new Count { From = _counts[1].From, Used = _counts[0].Used + _counts[1].Used };
        _counts.RemoveAt(0);
    }

    private DateTimeOffset GrainOf(DateTimeOffset at)
    {
        DateTimeOffset start = Rule.Around(at)?.Start ?? DateTimeOffset.UnixEpoch;
        return at - TimeSpan.FromTicks((at - start).Ticks % Grain.Ticks);
    }

    private struct Count
    {
        public DateTimeOffset From { get; init; }

        public decimal Used { get; set; }
    }
}
