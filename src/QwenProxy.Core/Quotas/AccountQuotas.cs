using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Core.Quotas;

/// <summary>Why an account's quota does not allow a call now.</summary>
/// <param name="Standing">Of the window that does not.</param>
/// <param name="Until">When there is room again; null when that is not known.</param>
/// <param name="Reserve">Whom what is left is kept for; null when nothing is left.</param>
internal sealed record QuotaHold(QuotaStanding Standing, DateTimeOffset? Until, QuotaReserve? Reserve);

/// <summary>One call that runs, in the windows it counts in. Settled once.</summary>
internal sealed class QuotaCharge(UsageWindow[] windows, string model, TokenCounts estimate, DateTimeOffset at)
{
    public UsageWindow[] Windows => windows;

    public string Model => model;

    public TokenCounts Estimate => estimate;

    public DateTimeOffset At => at;

    /// <summary>For each of the windows, what it tells when upstream serves the call; null for nothing.</summary>
    public Contradiction[]? Tells { get; set; }
}

/// <summary>
/// What is used of the plans of all accounts. Kept by name, so a reload of the configuration needs no hand-over; what an edit takes away is kept and counts
/// again when it comes back, since upstream has not forgotten it either. Not thread-safe: the pool's lock covers it.
/// </summary>
internal sealed class AccountQuotas
{
    /// <summary>Model names come from clients, so the windows of single models are bounded.</summary>
    private const int MaxWindows = 1024;

    /// <summary>No window but one that never ends looks further back.</summary>
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(40);

    private readonly Dictionary<(string Account, string Key, string? Model), UsageWindow> _windows = [];
    private readonly Dictionary<(string Account, string Key, string? Model), QuotaRecord> _kept = [];
    private Dictionary<string, Plan> _plans = [];

    public void Configure(IEnumerable<KeyValuePair<string, QuotaSettings>> accounts) =>
        _plans = accounts.Where(a => !a.Value.Windows.IsEmpty).ToDictionary(a => a.Key, a => new Plan(a.Key, a.Value, WindowOf), StringComparer.Ordinal);

    /// <summary>What keeps the account from a call of this model; null for nothing.</summary>
    public QuotaHold? Hold(string account, string model, QuotaClaim claim, DateTimeOffset now)
    {
        if (!_plans.TryGetValue(account, out Plan? plan)) return null;
        TokenCounts estimate = new(claim.Tokens, 0);
        QuotaReserve? reserve = plan.Settings.Reserve is { } kept && !kept.IsFor(claim) ? kept : null;
        QuotaHold? spent = null;
        foreach (UsageWindow window in plan.WindowsOf(model))
        {
            if (!window.Rule.IsCounted) continue;
            decimal need = QuotaAmount.Of(window.Rule, model, estimate);
            bool isSpent = window.Holds(need, now);
            if (reserve is not null && window.Keeps(need, reserve.Percent))
                return new QuotaHold(window.Look(reserve, now), window.FreeFor(need, window.Limit!.Value * (100 - reserve.Percent) / 100), reserve);
            if (isSpent) spent ??= new QuotaHold(window.Look(null, now), window.FreeFor(need, window.Limit!.Value), null);
        }

        return spent;
    }

    /// <summary>A call begins; null where nothing is counted.</summary>
    public QuotaCharge? Begin(string account, string model, QuotaClaim claim, DateTimeOffset now)
    {
        if (!_plans.TryGetValue(account, out Plan? plan)) return null;
        QuotaCharge charge = new(plan.WindowsOf(model), model, new TokenCounts(claim.Tokens, 0), now);
        for (int i = 0; i < charge.Windows.Length; i++)
        {
            Contradiction tells = charge.Windows[i].Reserve(QuotaAmount.Of(charge.Windows[i].Rule, model, charge.Estimate), now);
            if (tells != Contradiction.None) (charge.Tells ??= new Contradiction[charge.Windows.Length])[i] = tells;
        }

        return charge;
    }

    /// <param name="charge">What <see cref="Begin"/> gave.</param>
    /// <param name="counts">False when upstream did not take the call on.</param>
    /// <param name="served">Upstream answered.</param>
    /// <param name="tokens">What upstream counted; null when it did not tell, so that the estimate stands.</param>
    public static void End(QuotaCharge? charge, bool counts, bool served, TokenCounts? tokens)
    {
        if (charge is null) return;
        for (int i = 0; i < charge.Windows.Length; i++)
        {
            UsageWindow window = charge.Windows[i];
            decimal? taken = counts ? QuotaAmount.Of(window.Rule, charge.Model, tokens ?? charge.Estimate) : null;
            window.Settle(QuotaAmount.Of(window.Rule, charge.Model, charge.Estimate), taken, charge.At, served && charge.Tells is { } tells ? tells[i] : Contradiction.None);
        }
    }

    /// <summary>Upstream said that a quota is used up.</summary>
    /// <returns>When there is room again; null when nothing here tells.</returns>
    public DateTimeOffset? Refused(string account, string model, ProxyError error, DateTimeOffset now)
    {
        if (!_plans.TryGetValue(account, out Plan? plan)) return null;
        return Named(plan.WindowsOf(model), error)?.Exhaust(now);
    }

    /// <summary>An answer's headers; <paramref name="header"/> gives a number or null.</summary>
    public void Tell(string account, string model, Func<string, long?> header, DateTimeOffset now)
    {
        if (!_plans.TryGetValue(account, out Plan? plan)) return;
        foreach (UsageWindow window in plan.WindowsOf(model))
        {
            if (window.Rule.Headers is not { } name || header(name + "-limit") is not (> 0 and { } limit) || header(name + "-remaining") is not (>= 0 and { } remaining)) continue;
            window.Tell(limit, remaining, now);
        }
    }

    /// <summary>The marks that were passed.</summary>
    public ImmutableArray<QuotaStanding> Crossings(string account, DateTimeOffset now) =>
        _plans.TryGetValue(account, out Plan? plan) ? [.. plan.All.Select(w => w.TakeCrossing(now)).OfType<QuotaStanding>()] : [];

    public ImmutableArray<QuotaStanding> Look(DateTimeOffset now) =>
        [.. _plans.Values.SelectMany(p => p.All.Select(w => w.Look(p.Settings.Reserve, now)))];

    /// <summary>Windows that are used up begin anew: by command.</summary>
    public void Reset(string account, DateTimeOffset now)
    {
        if (!_plans.TryGetValue(account, out Plan? plan)) return;
        foreach (UsageWindow window in plan.All.Where(w => w.Look(null, now).IsUsedUp)) window.CountAnew(now);
    }

    public ImmutableArray<QuotaRecord> Export(DateTimeOffset now) =>
        [.. _windows.Values.Select(w => w.Export(now)).Concat(_kept.Values).Where(r => IsOfUse(r, now))];

    public void Import(IEnumerable<QuotaRecord> records)
    {
        foreach (QuotaRecord record in records)
        {
            if (_plans.TryGetValue(record.Account, out Plan? plan) && plan.Find(record.Key, record.Model) is { } window) window.Import(record);
            else _kept[(record.Account, record.Key, record.Model)] = record;
        }
    }

    /// <summary>The window that the words are about; where they name none, the only one, else the one that is nearest to its end.</summary>
    private static UsageWindow? Named(UsageWindow[] windows, ProxyError error)
    {
        string words = $"{error.Code} {error.Message}";
        bool isFree = words.Contains("free", StringComparison.OrdinalIgnoreCase);
        if (isFree && windows.FirstOrDefault(w => w.Model is not null) is { } free) return free;
        foreach ((string word, QuotaPeriod period) in (ReadOnlySpan<(string, QuotaPeriod)>)[("hour alloc", QuotaPeriod.Hours), ("day alloc", QuotaPeriod.Day), ("week alloc", QuotaPeriod.Week), ("month alloc", QuotaPeriod.Month)])
        {
            if (words.Contains(word, StringComparison.OrdinalIgnoreCase)) return windows.FirstOrDefault(w => w.Rule.Period == period && w.Model is null);
        }

        return isFree ? null : windows.Where(w => w.Model is null).MaxBy(w => w.Limit is > 0 ? w.Used / w.Limit : 0);
    }

    private static bool IsOfUse(QuotaRecord record, DateTimeOffset now) => record.Counts.Any(c => c.From > now - s_longest) || (record.Key.Contains("/total", StringComparison.Ordinal) && !record.Counts.IsEmpty);

    private UsageWindow? WindowOf(string account, QuotaRule rule, string? model)
    {
        if (_windows.TryGetValue((account, rule.Key, model), out UsageWindow? window))
        {
            window.Rule = rule;
            return window;
        }

        if (model is not null && _windows.Count >= MaxWindows && !ForgetUnused()) return null;
        window = new UsageWindow(account, rule, model);
        if (_kept.Remove((account, rule.Key, model), out QuotaRecord? kept)) window.Import(kept);
        _windows.Add((account, rule.Key, model), window);
        return window;
    }

    /// <summary>Windows of single models that hold nothing make room. Running calls keep those they count in.</summary>
    private bool ForgetUnused()
    {
        foreach (((string, string, string?) key, UsageWindow window) in _windows.Where(w => w.Key.Model is not null && w.Value is { Used: 0, Reserved: 0 }).ToArray()) _windows.Remove(key);
        foreach (Plan plan in _plans.Values) plan.ForgetModels();
        return _windows.Count < MaxWindows;
    }

    /// <summary>The windows of one account.</summary>
    private sealed class Plan(string account, QuotaSettings settings, Func<string, QuotaRule, string?, UsageWindow?> windowOf)
    {
        private readonly UsageWindow[] _shared = [.. settings.Windows.Where(r => !r.EachModel).Select(r => windowOf(account, r, null)!)];
        private readonly QuotaRule[] _eachModel = [.. settings.Windows.Where(r => r.EachModel)];
        private readonly Dictionary<string, UsageWindow[]> _ofModel = new(StringComparer.Ordinal);

        public QuotaSettings Settings => settings;

        public IEnumerable<UsageWindow> All => _shared.Concat(_ofModel.Values.SelectMany(m => m.Where(w => w.Model is not null)));

        public UsageWindow[] WindowsOf(string model)
        {
            if (_eachModel.Length == 0) return _shared;
            if (_ofModel.TryGetValue(model, out UsageWindow[]? windows)) return windows;
            windows = [.. _eachModel.Select(r => windowOf(account, r, model)).OfType<UsageWindow>(), .. _shared];
            // Without room it is counted in the account's own windows alone.
            if (windows.Length > _shared.Length) _ofModel.Add(model, windows);
            return windows;
        }

        public UsageWindow? Find(string key, string? model) => (model is null ? _shared : WindowsOf(model)).FirstOrDefault(w => w.Rule.Key == key && w.Model == model);

        public void ForgetModels() => _ofModel.Clear();
    }
}
