using System.Collections.Immutable;

namespace QwenProxy.Core.Quotas;

/// <summary>What is shown of a window, foretold of it and written down.</summary>
internal sealed partial class UsageWindow
{
    public QuotaStanding Look(QuotaReserve? reserve, DateTimeOffset now)
    {
        Turn(now);
        bool isExhausted = _exhausted is { } told && (!Rule.Slides || told + s_guess > now);
        return new QuotaStanding
        {
            Account = account,
            Window = Rule.Name,
            Counts = Rule.Counts.ToString().ToLowerInvariant(),
            Model = model,
            Limit = Limit,
            LimitFrom = _told is not null ? "upstream" : Rule.Limit is not null ? Rule.LimitFrom : _learned is not null ? "learned" : null,
            Used = Rule.IsCounted ? Used : null,
            Resets = Rule.Slides ? (_counts.Count > 0 ? Leaves(_counts[0]) : null) : _around?.End,
            Slides = Rule.Slides,
            RunsOut = RunsOut(now),
            IsUsedUp = isExhausted || (Stated is { } limit && Used >= limit),
            ReservedFrom = reserve is not null && Limit is { } all ? all * (100 - reserve.Percent) / 100 : null,
        };
    }

    /// <summary>When there is room for a call that takes so much; null when that is not known.</summary>
    public DateTimeOffset? FreeFor(decimal need, decimal limit)
    {
        if (!Rule.Slides) return _around?.End;
        decimal over = Used + Reserved + need - limit;
        foreach (Count count in _counts)
        {
            over -= count.Used;
            if (over <= 0) return Leaves(count);
        }

        return null;
    }

    /// <summary>The mark that was passed since the last call, once for each passing; null for none.</summary>
    public QuotaStanding? TakeCrossing(DateTimeOffset now)
    {
        if (Limit is null || !Rule.IsCounted) return null;
        Turn(now);
        QuotaStanding standing = Look(null, now);
        // A window that slides goes up and down around a mark: it has to fall well below before it is warned of again.
        if (standing.Mark < _warned && standing.Percent < _warned - 5) _warned = standing.Mark;
        if (standing.Mark <= _warned) return null;
        _warned = standing.Mark;
        return standing;
    }

    public QuotaRecord Export(DateTimeOffset now)
    {
        Turn(now);
        ImmutableArray<QuotaCount>.Builder counts = ImmutableArray.CreateBuilder<QuotaCount>(_counts.Count + 1);
        foreach (Count count in _counts) counts.Add(new QuotaCount(count.From, count.Used));
        // Calls that run count in upstream's books whether or not this program lives to see their end.
        if (Reserved > 0) counts.Add(new QuotaCount(GrainOf(now), Reserved));
        return new QuotaRecord(account, Rule.Key, model, Since, counts.ToImmutable()) { Learned = _learned, Told = _told, Exhausted = _exhausted, Warned = _warned };
    }

    /// <summary>Adds what was written down, here before a restart or by another replica.</summary>
    public void Import(QuotaRecord record)
    {
        if (Since == default || record.Since < Since) Since = record.Since;
        foreach (QuotaCount count in record.Counts) Add(count.Used, count.From);
        (_learned, _told, _exhausted, _warned) = (record.Learned, record.Told, record.Exhausted, record.Warned);
        // It rested before the restart as well: that is no reason to look anew.
        if (Stated <= Used) _heldSince = record.Counts[^1].From + Grain;
    }

    /// <summary>When it is used up at the pace of the last twelfth of the window; null when it is not within the window, or when too little was seen.</summary>
    private DateTimeOffset? RunsOut(DateTimeOffset now)
    {
        if (Limit is not { } limit || Used >= limit || !Rule.IsCounted) return null;
        DateTimeOffset from = GrainOf(now) - (4 * Grain);
        if (_around is { } around && around.Start > from) from = around.Start;
        if (Since > from) from = Since;
        decimal recent = _counts.Where(c => c.From + Grain > from).Sum(c => c.Used);
        if (now - from < Grain || recent <= 0) return null;
        decimal pace = recent / (now - from).Ticks;
        DateTimeOffset at = now;
        decimal used = Used;
        foreach (Count count in Rule.Slides ? _counts : [])
        {
            DateTimeOffset leaves = Leaves(count);
            if (used + (pace * (leaves - at).Ticks) >= limit) break;
            used += (pace * (leaves - at).Ticks) - count.Used;
            at = leaves;
        }

        decimal ticks = (limit - used) / pace;
        DateTimeOffset last = _around?.End ?? now + Rule.Length;
        return ticks < (last - at).Ticks ? at.AddTicks((long)ticks) : null;
    }
}
