using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>One reason to leave an account alone for a while.</summary>
/// <param name="Account">The account's name.</param>
/// <param name="Model">The model, or null for the whole account.</param>
/// <param name="Kind">The class of failure.</param>
/// <param name="Until">When it ends.</param>
/// <param name="Hard">Upstream named the time: nobody asks before it. Otherwise the account is only asked last.</param>
/// <param name="Status">Upstream's status, code and message, for callers that come later and for people.</param>
/// <param name="Code">See <paramref name="Status"/>.</param>
/// <param name="Message">See <paramref name="Status"/>.</param>
public sealed record Cooldown(
    string Account, string? Model, FaultKind Kind, DateTimeOffset Until, bool Hard, int Status, string? Code, string Message)
{
    /// <summary>The true end of the window behind it, where that is known and later than <see cref="Until"/>, when the account is looked at again.</summary>
    public DateTimeOffset? Ends { get; init; }

    /// <summary>When callers may expect to be served again.</summary>
    public DateTimeOffset ReadyAt => Ends ?? Until;

    /// <summary>The failure as the one who caused it saw it, with the time that is left.</summary>
    public ProxyError ToError(DateTimeOffset now) => new()
    {
        Kind = Kind,
        Source = FaultSource.Upstream,
        Status = Status,
        Code = Code,
        Message = Message,
        RetryAfter = TimeSpan.FromSeconds(Math.Max(1, Math.Ceiling((ReadyAt - now).TotalSeconds))),
    };
}

/// <summary>
/// Who is to be left alone until when, per account × model × class of failure. Bounded, since model names come from clients.
/// Not thread-safe: the pool's lock covers it.
/// </summary>
public sealed class Cooldowns(int maxEntries = 1024)
{
    private readonly Dictionary<(string Account, string? Model, FaultKind Kind), Cooldown> _entries = [];

    public int Count => _entries.Count;

    /// <summary>Notes a failure; most kinds cool nothing. Of two guesses or two named times the later stands, and a named time stands against a guess.</summary>
    /// <param name="account">Who failed.</param>
    /// <param name="model">For which model.</param>
    /// <param name="error">How.</param>
    /// <param name="now">The time.</param>
    /// <param name="reset">When a quota has room again by what was counted of it; null when that is not known.</param>
    /// <returns>The cooldown that now stands for this failure, or null.</returns>
    public Cooldown? Note(string account, string model, ProxyError error, DateTimeOffset now, DateTimeOffset? reset = null)
    {
        ErrorRule rule = ErrorPolicy.For(error.Kind);
        CooldownScope scope = error.Kind == FaultKind.QuotaExhausted ? QuotaWindow.Scope(error) : rule.Scope;
        // A failure that breaks nothing and bans nobody may still name a time (a 503 with Retry-After).
        if (scope == CooldownScope.None && error.RetryAfter is null) return null;
        if (scope == CooldownScope.None && !rule.Here) return null;
        TimeSpan length = error.Kind == FaultKind.QuotaExhausted ? QuotaWindow.Length(error, now, rule.Cooldown, reset) : error.RetryAfter ?? rule.Cooldown;
        if (length <= TimeSpan.Zero) return null;
        // An account that said no for good is asked last, not never: when nobody else is left, upstream's own words beat ours.
        bool hard = error.RetryAfter is not null && !rule.Bans;
        string? key = scope == CooldownScope.Account ? null : model;
        Cooldown cooldown = new(account, key, error.Kind, now + length, hard, error.Status, error.Code, error.Message)
        {
            Ends = error.Kind == FaultKind.QuotaExhausted ? QuotaWindow.End(error, now, reset) : null,
        };
        return Merge(cooldown, now);
    }

    /// <summary>Adds one that was noted here or by another replica; what stands after it comes back.</summary>
    public Cooldown Merge(Cooldown cooldown, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(cooldown);
        bool isOld = _entries.TryGetValue((cooldown.Account, cooldown.Model, cooldown.Kind), out Cooldown? old) && old.Until > now;
        if (isOld && (old!.Hard == cooldown.Hard ? old.Until > cooldown.Until : old.Hard)) return old!;
        Add(cooldown, now);
        return cooldown;
    }

    /// <summary>Whoever noted it took it back.</summary>
    public void Withdraw(string account, string? model, FaultKind kind) => _entries.Remove((account, model, kind));

    /// <summary>What holds the account back from this model: the hard one that ends last, else the soft one that ends last, else null.</summary>
    public Cooldown? Find(string account, string model, DateTimeOffset now)
    {
        Cooldown? found = null;
        foreach (Cooldown entry in _entries.Values)
        {
            if (entry.Account != account || (entry.Model is not null && entry.Model != model) || entry.Until <= now) continue;
            if (found is null || (entry.Hard, entry.Until).CompareTo((found.Hard, found.Until)) > 0) found = entry;
        }

        return found;
    }

    /// <summary>The account answered: what was only a guess about it is dropped. A time that upstream named stands.</summary>
    public void Forgive(string account, string model)
    {
        if (_entries.Count == 0) return;
        foreach (Cooldown entry in _entries.Values.ToArray())
        {
            if (entry.Account == account && (entry.Model is null || entry.Model == model) && !entry.Hard) Remove(entry);
        }
    }

    /// <summary>Drops everything about an account: by command, or because its credentials were mended.</summary>
    public void Clear(string account)
    {
        foreach (Cooldown entry in _entries.Values.ToArray())
        {
            if (entry.Account == account) Remove(entry);
        }
    }

    public IReadOnlyList<Cooldown> Export(DateTimeOffset now) => [.. _entries.Values.Where(e => e.Until > now).OrderBy(e => e.Until)];

    public void Import(IEnumerable<Cooldown> entries, DateTimeOffset now)
    {
        foreach (Cooldown entry in entries)
        {
            if (entry.Until > now) Add(entry, now);
        }
    }

    private void Add(Cooldown entry, DateTimeOffset now)
    {
        _entries[(entry.Account, entry.Model, entry.Kind)] = entry;
        if (_entries.Count <= maxEntries) return;
        foreach (Cooldown old in _entries.Values.Where(e => e.Until <= now).ToArray()) Remove(old);
        while (_entries.Count > maxEntries) Remove(_entries.Values.MinBy(e => e.Until)!);
    }

    private void Remove(Cooldown entry) => _entries.Remove((entry.Account, entry.Model, entry.Kind));
}
