using System.Collections.Immutable;
using System.Globalization;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Quotas;

namespace QwenProxy.Configuration;

/// <summary>Reads <c>quota</c> of an account: which plan it is, or its windows one by one, and what of them is kept for whom.</summary>
internal sealed class QuotaReader(LoadContext context)
{
    public static readonly string[] Keys = ["plan", "monthStarts", "windows", "credits", "reserve"];
    public static readonly string[] WindowKeys = ["counts", "per", "limit", "eachModel"];
    public static readonly string[] ReserveKeys = ["percent", "clients", "priority"];
    public static readonly string[] RateKeys = ["input", "output", "cached"];

    private const string AllowedPeriods = "\"5h\" (any number of hours up to 744), \"day\", \"week\", \"month\" or \"total\"";

    private static readonly ValueRule<int> s_monthStarts = ValueRules.Integer(1, 31);
    private static readonly ValueRule<int> s_percent = ValueRules.Integer(1, 99);
    private static readonly ValueRule<long> s_limit = ValueRules.Long(1, 1_000_000_000_000_000);

    /// <summary>Null when nothing is written: then the profile says what is known.</summary>
    public QuotaSettings? Read(ConfigNode? node, UpstreamProfile profile, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Object, path, "an object, { \"plan\": …, \"reserve\": … }") is not { } quota) return null;
        int faults = context.Faults.Count;
        context.CheckKeys(quota, " in " + path, Keys);
        QuotaSettings settings = ReadPlan(quota.Find("plan"), profile, path + ".plan") is { } plan ? QuotaSettings.Of(plan) : QuotaSettings.Of(profile);
        if (quota.Find("windows") is { } windows) settings = new QuotaSettings { Plan = settings.Plan, Windows = ReadWindows(windows, path + ".windows") };
        int? monthStarts = context.Number(quota.Find("monthStarts"), path + ".monthStarts", s_monthStarts);
        ImmutableArray<CreditRate> rates = ReadRates(quota.Find("credits"), path + ".credits");
        settings = settings with
        {
            Windows = [.. settings.Windows.Select(w => w with { MonthStarts = w.Period == QuotaPeriod.Month ? monthStarts : null, Rates = w.Counts == QuotaUnit.Credits ? rates : [] })],
            Reserve = ReadReserve(quota.Find("reserve"), path + ".reserve"),
        };
        if (settings.Windows.IsEmpty && quota.Find("windows") is null && context.Faults.Count == faults)
            context.Fault(quota, $"{path} has no windows, and none are known of the profile {profile.Name}; write \"windows\": [ {{ \"counts\": \"requests\", \"per\": \"day\", \"limit\": 1000 }} ]");
        return settings;
    }

    private QuotaPlan? ReadPlan(ConfigNode? node, UpstreamProfile profile, string path)
    {
        string[] names = [.. QuotaPlans.NamesOf(profile.Name)];
        string allowed = names.Length > 0 ? "one of " + string.Join(", ", names) : $"absent: no plans are known of the profile {profile.Name}";
        if (context.Expect(node, ConfigNodeKind.Text, path, allowed) is not { } text) return null;
        context.Value(path, text.Text, context.LineOf(text));
        QuotaPlan? plan = text.Text.Length == 0 ? null : QuotaPlans.Find(profile.Name, text.Text);
        if (plan is null) context.Fault(text, $"{path} is \"{text.Text}\"; it must be {allowed}");
        return plan;
    }

    private ImmutableArray<QuotaRule> ReadWindows(ConfigNode node, string path)
    {
        const string allowed = "a list, [ { \"counts\": \"requests\", \"per\": \"5h\", \"limit\": 6000 } ]";
        if (context.Expect(node, ConfigNodeKind.Array, path, allowed) is null) return [];
        List<QuotaRule> windows = [];
        for (int i = 0; i < node.Items.Count; i++)
        {
            string place = string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]");
            if (context.Expect(node.Items[i], ConfigNodeKind.Object, place, "an object, { \"counts\": …, \"per\": … }") is not { } item) continue;
            context.CheckKeys(item, " in " + place, WindowKeys);
            if (ReadWindow(item, place) is not { } window) continue;
            if (windows.Exists(w => w.Key == window.Key)) context.Fault(item, $"{place} counts {window.Counts.ToString().ToLowerInvariant()} per {window.Name} once more; each window stands once");
            else windows.Add(window);
        }

        return [.. windows];
    }

    private QuotaRule? ReadWindow(ConfigNode item, string path)
    {
        foreach (string needed in ((string[])["counts", "per"]).Where(k => item.Find(k) is null)) context.Fault(item, $"{path} has no {needed}; a window says what it counts and per how long");
        QuotaUnit? counts = ReadUnit(item.Find("counts"), path + ".counts");
        long? limit = context.Number(item.Find("limit"), path + ".limit", s_limit);
        bool eachModel = context.Expect(item.Find("eachModel"), ConfigNodeKind.Boolean, path + ".eachModel", "true or false") is { Text: "true" };
        if (eachModel) context.Value(path + ".eachModel", "true", context.LineOf(item.Find("eachModel")!));
        if (ReadPeriod(item.Find("per"), path + ".per") is not { } period || counts is not { } unit) return null;
        return new QuotaRule(unit, period.Period) { Hours = period.Hours, Limit = limit, LimitFrom = "configuration", EachModel = eachModel };
    }

    private QuotaUnit? ReadUnit(ConfigNode? node, string path)
    {
        const string allowed = "requests, tokens or credits";
        if (context.Expect(node, ConfigNodeKind.Text, path, allowed) is not { } text) return null;
        QuotaUnit? unit = text.Text switch
        {
            "requests" => QuotaUnit.Requests,
            "tokens" => QuotaUnit.Tokens,
            "credits" => QuotaUnit.Credits,
            _ => null,
        };
        if (unit is null) context.Fault(text, $"{path} is \"{text.Text}\"; it must be {allowed}");
        else context.Value(path, text.Text, context.LineOf(text));
        return unit;
    }

    private (QuotaPeriod Period, int Hours)? ReadPeriod(ConfigNode? node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Text, path, AllowedPeriods) is not { } text) return null;
        (QuotaPeriod, int)? period = text.Text switch
        {
            "day" => (QuotaPeriod.Day, 0),
            "week" => (QuotaPeriod.Week, 0),
            "month" => (QuotaPeriod.Month, 0),
            "total" => (QuotaPeriod.Total, 0),
            [.. string hours, 'h'] when int.TryParse(hours, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 1 and <= 744 => (QuotaPeriod.Hours, number),
            _ => null,
        };
        if (period is null) context.Fault(text, $"{path} is \"{text.Text}\"; it must be {AllowedPeriods}");
        else context.Value(path, text.Text, context.LineOf(text));
        return period;
    }

    private ImmutableArray<CreditRate> ReadRates(ConfigNode? node, string path)
    {
        const string allowed = "an object of model names and rates, { \"qwen3.7-*\": { \"input\": 1, \"output\": 4 } }";
        if (context.Expect(node, ConfigNodeKind.Object, path, allowed) is not { } map) return [];
        List<CreditRate> rates = [];
        foreach (ConfigMember member in map.Members)
        {
            string place = $"{path}.{member.Key}";
            if (context.Expect(member.Value, ConfigNodeKind.Object, place, "an object, { \"input\": …, \"output\": … }, credits per million tokens") is not { } rate) continue;
            context.CheckKeys(rate, " in " + place, RateKeys);
            foreach (string needed in ((string[])["input", "output"]).Where(k => rate.Find(k) is null)) context.Fault(rate, $"{place} has no {needed}; a rate says what input and output take, in credits per million tokens");
            if (context.Number(rate.Find("input"), place + ".input", ValueRules.Rate) is not { } input || context.Number(rate.Find("output"), place + ".output", ValueRules.Rate) is not { } output) continue;
            rates.Add(new CreditRate(member.Key, input, output) { Cached = context.Number(rate.Find("cached"), place + ".cached", ValueRules.Rate) });
        }

        return [.. rates];
    }

    private QuotaReserve? ReadReserve(ConfigNode? node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Object, path, "an object, { \"percent\": 20, \"clients\": [\"alice\"] }") is not { } reserve) return null;
        context.CheckKeys(reserve, " in " + path, ReserveKeys);
        int? percent = context.Number(reserve.Find("percent"), path + ".percent", s_percent);
        ImmutableArray<string> clients = ListReader.ReadNames(context, reserve.Find("clients"), path + ".clients", "a list of the names of clients, [\"alice\"]");
        int? priority = context.Number(reserve.Find("priority"), path + ".priority", LimitRules.Priority);
        if (reserve.Find("percent") is null) context.Fault(reserve, $"{path} has no percent; it must say how much of each window is kept, {s_percent.Allowed}");
        if (reserve.Find("clients") is null && reserve.Find("priority") is null) context.Fault(reserve, $"{path} has neither clients nor priority; it must say for whom it is kept");
        return percent is { } part && (!clients.IsEmpty || priority is not null) ? new QuotaReserve(part, clients, priority) : null;
    }
}
