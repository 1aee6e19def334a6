using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Resilience;

/// <summary>Accounts, a pool, a clock and one request at a time, driven as a server would drive them but without any waiting.</summary>
internal sealed class World
{
    private readonly AttemptPolicy _policy;

    public World(int maxAttempts = 4, double maxWaitSeconds = 20, int breakerFailures = 10, params AccountSnapshot[] accounts)
    {
        _policy = new AttemptPolicy(new AttemptLimits(maxAttempts, TimeSpan.FromSeconds(maxWaitSeconds)), new Random(1));
        Pool = new AccountPool(breakerFailures, TimeSpan.FromSeconds(15));
        Pool.ConfigureQuotas(accounts);
        Accounts = accounts;
    }

    public DateTimeOffset Now { get; set; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public AccountPool Pool { get; }

    public AccountSnapshot[] Accounts { get; }

    public Dictionary<string, ImmutableArray<string>> Fallbacks { get; } = [];

    /// <summary>The attempts of the last request, as account/model.</summary>
    public List<string> Asked { get; } = [];

    public TimeSpan Waited { get; private set; }

    public bool AnotherCouldServe { get; private set; }

    /// <summary>Who asks.</summary>
    public QuotaClaim Claim { get; set; }

    public static AccountSnapshot Account(string name, int priority = 0, params string[] models) =>
        new() { Name = name, Profile = new UpstreamProfile("generic"), Priority = priority, Models = [.. models] };

    /// <summary>Runs one request against upstreams that answer as told; null is success. Returns what the client gets.</summary>
    public ProxyError? Run(Func<string, string, ProxyError?> upstream, string model = "m")
    {
        Asked.Clear();
        RoutePlan plan = new RouteTable(Accounts, [], Fallbacks).Resolve(model);
        AttemptHistory history = new();
        for (int guard = 0; guard < 100; guard++)
        {
            NextStep step = _policy.Decide(history, Pool.View(plan, affinity: null, Now, claim: Claim), Now);
            if (step is NextStep.GiveUp giveUp)
            {
                Waited = history.Waited;
                return giveUp.Error;
            }

            NextStep.Ask ask = (NextStep.Ask)step;
            Now += ask.Delay;
            AnotherCouldServe = ask.AnotherCouldServe;
            if (!Pool.TryLease(ask.Account, ask.Model, Now, out Lease? lease, claim: Claim, lastResort: ask.IsLastResort)) continue;
            Asked.Add($"{ask.Account}/{ask.Model}");
            ProxyError? error = upstream(ask.Account, ask.Model);
            lease.Settle(error, Now);
            if (error is null)
            {
                Waited = history.Waited;
                return null;
            }

            history.Failed(ask.Account, ask.Model, error);
        }

        throw new InvalidOperationException("The policy never came to an end.");
    }

    public static ProxyError Fail(FaultKind kind, double? retryAfter = null) => new()
    {
        Kind = kind,
        Source = FaultSource.Upstream,
        Status = kind switch
        {
            FaultKind.RateLimited or FaultKind.QuotaExhausted or FaultKind.ConcurrencyLimited => 429,
            FaultKind.InvalidKey => 401,
            FaultKind.PermissionDenied or FaultKind.Billing => 403,
            FaultKind.InvalidRequest or FaultKind.ContextTooLong or FaultKind.ContentFilter => 400,
            FaultKind.ModelNotFound => 404,
            FaultKind.Overloaded => 503,
            FaultKind.FirstTokenTimeout or FaultKind.IdleTimeout or FaultKind.ConnectTimeout => 504,
            _ => 500,
        },
        Message = $"upstream says {kind}",
        RetryAfter = retryAfter is null ? null : TimeSpan.FromSeconds(retryAfter.Value),
    };
}
