using System.Diagnostics.Metrics;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Proxying.Attempts;

namespace QwenProxy.Hosting;

/// <summary>The numbers that are read when somebody asks for them: what the parts know of themselves, by account.</summary>
internal sealed class Gauges(ProxyMetrics metrics, CurrentConfiguration configuration, Router router, AccountStates states, TimeProvider time)
{
    public void Watch()
    {
        ProgramVersion program = ProgramVersion.OfThis();
        KeyValuePair<string, object?>[] build = [new("version", program.Version), new("commit", program.Commit), new("runtime", program.Runtime), new("form", program.Form)];
        metrics.Watch("qwen_proxy.build.info", null, "1, with what the program was built from as labels.", () => [new Measurement<long>(1, build)]);
        metrics.Watch("qwen_proxy.breakers.open", "{breaker}", "Breakers that are not closed, by account.", OpenBreakers);
        metrics.Watch("qwen_proxy.accounts.ready", "{account}", "1 for an account that is ready, 0 for one that is held back from all its models.",
            () => states.All().Select(s => Of(s.Key.Name, s.Value.IsReady ? 1 : 0)));
        metrics.Watch("qwen_proxy.accounts.cooldown", "s", "How long an account or one of its models rests yet, by account and reason.", Cooldowns);
        metrics.Watch("qwen_proxy.quota.used", "{unit}", "How much of a window of an account's plan is used, in what the plan counts.", () => Quotas(q => q.Used));
        metrics.Watch("qwen_proxy.quota.limit", "{unit}", "How much of it may be used, where that is known.", () => Quotas(q => q.Limit));
        metrics.Watch("qwen_proxy.quota.reset", "s", "Seconds until what is used becomes less: the window's end, or when the oldest use leaves one that slides.",
            () => Quotas(q => (decimal?)(q.Resets - time.GetUtcNow())?.TotalSeconds));
        metrics.Watch("qwen_proxy.requests.waiting", "{request}", "Requests that wait for a slot of an account.", () => [new Measurement<long>(router.Pool.Waiting)]);
        metrics.Watch("qwen_proxy.configuration.refused", "{fault}", "Faults of the last edit of the configuration, which is not in force; 0 when it is.",
            () => [new Measurement<long>(configuration.Refused.Length)]);
        metrics.Watch("qwen_proxy.configuration.loaded.timestamp", "s", "When the configuration in force was taken up, in Unix time.",
            () => [new Measurement<long>(configuration.LoadedAt.ToUnixTimeSeconds())]);
    }

    private IEnumerable<Measurement<long>> OpenBreakers() =>
        router.Pool.Export(time.GetUtcNow()).Breakers.Where(b => b.State != BreakerState.Closed).GroupBy(b => b.Account).Select(g => Of(g.Key, g.Count()));

    /// <summary>By account and reason, not by model: the longest of the rests.</summary>
    private IEnumerable<Measurement<long>> Cooldowns()
    {
        DateTimeOffset now = time.GetUtcNow();
        return router.Pool.Export(now).Cooldowns.GroupBy(c => (c.Account, c.Kind)).Select(g => new Measurement<long>(
            (long)Math.Max(0, Math.Ceiling((g.Max(c => c.ReadyAt) - now).TotalSeconds)),
            new("account", g.Key.Account), new KeyValuePair<string, object?>("reason", ErrorSummary.Snake(g.Key.Kind))));
    }

    private IEnumerable<Measurement<long>> Quotas(Func<QuotaStanding, decimal?> number) =>
        from quota in router.Pool.Quotas(time.GetUtcNow())
        let value = number(quota)
        where value is not null
        select new Measurement<long>((long)value, [new("account", quota.Account), new("window", quota.Window), new("counts", quota.Counts), new("gen_ai.request.model", quota.Model ?? "*")]);

    private static Measurement<long> Of(string account, long value) => new(value, new KeyValuePair<string, object?>("account", account));
}
