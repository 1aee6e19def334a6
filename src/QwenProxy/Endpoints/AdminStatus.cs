using System.Globalization;
using System.Reflection;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Resilience;
using QwenProxy.Credentials;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Upstreams;

namespace QwenProxy.Endpoints;

/// <summary>What <c>/admin/status</c> answers, also for a command that asks no running proxy.</summary>
internal sealed class AdminStatus(CurrentConfiguration configuration, Readiness readiness, DrainState drain, Router router, AccountAuthorizer authorizer, TimeProvider time)
{
    private readonly DateTimeOffset _startedAt = time.GetUtcNow();

    public byte[] Render()
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) Write(json);
        return bytes.ToArray();
    }

    public void Write(Utf8JsonWriter json)
    {
        ProxySnapshot snapshot = configuration.Snapshot;
        DateTimeOffset now = time.GetUtcNow();
        PoolRecord pool = router.Pool.Export(now);
        json.WriteStartObject();
        json.WriteString("version", typeof(AdminStatus).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "");
        json.WriteString("time", TimeZoneInfo.ConvertTime(now, time.LocalTimeZone));
        json.WriteNumber("uptimeSeconds", Math.Round((now - _startedAt).TotalSeconds));
        json.WriteBoolean("draining", drain.IsDraining);
        json.WriteString("ready", readiness.Obstacle() ?? "yes");
        json.WriteNumber("runningRequests", drain.Active);
        json.WriteNumber("leases", router.Pool.LeasesOut);
        json.WriteStartArray("accounts");
        foreach (AccountSnapshot account in snapshot.Accounts) WriteAccount(json, account, pool, now);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteAccount(Utf8JsonWriter json, AccountSnapshot account, PoolRecord pool, DateTimeOffset now)
    {
        Cooldown? cooldown = pool.Cooldowns.Where(c => c.Account == account.Name).OrderByDescending(c => c.Hard).ThenByDescending(c => c.Until).FirstOrDefault();
        BreakerRecord? breaker = pool.Breakers.FirstOrDefault(b => b.Account == account.Name && b.State != BreakerState.Closed);
        string? unusable = authorizer.WhyUnusable(account);
        CredentialState? signIn = authorizer.StateOf(account);
        string state = unusable is not null ? "dead"
            : signIn is { Kind: CredentialStateKind.Expired } ? "expired"
            : breaker is { State: BreakerState.Isolated } ? "isolated"
            : cooldown is { Hard: true } ? "cooling"
            : breaker is not null ? "circuit open"
            : "ready";
        json.WriteStartObject();
        json.WriteString("name", account.Name);
        json.WriteString("kind", account.Kind == AccountKind.QwenOAuth ? "qwen-oauth" : "api-key");
        json.WriteString("profile", account.Profile.Name);
        json.WriteString("host", (signIn?.BaseUrl ?? account.BaseUrl)?.Authority);
        json.WriteNumber("priority", account.Priority);
        json.WriteString("state", state);
        if (signIn is not null)
        {
            json.WriteString("credentials", signIn.FilePath);
            if (signIn.ExpiresAt is { } expires) json.WriteString("tokenExpires", expires);
        }

        json.WriteString("why", unusable ?? signIn?.Why ?? (state == "cooling" ? $"{cooldown!.Status} {cooldown.Message}" : null));
        if (state == "cooling") json.WriteString("until", cooldown!.Until.ToString("O", CultureInfo.InvariantCulture));
        json.WriteNumber("running", router.Pool.LoadOf(account.Name));
        json.WriteStartArray("breakers");
        foreach (BreakerRecord one in pool.Breakers.Where(b => b.Account == account.Name))
        {
            json.WriteStartObject();
            json.WriteString("model", one.Model);
            json.WriteString("state", one.State.ToString());
            json.WriteNumber("failures", one.Failures);
            if (one.NextProbe is { } probe) json.WriteNumber("probeInSeconds", Math.Max(0, Math.Ceiling((probe - now).TotalSeconds)));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("cooldowns");
        foreach (Cooldown one in pool.Cooldowns.Where(c => c.Account == account.Name))
        {
            json.WriteStartObject();
            json.WriteString("model", one.Model ?? "*");
            json.WriteString("kind", one.Kind.ToString());
            json.WriteNumber("seconds", Math.Ceiling((one.Until - now).TotalSeconds));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
