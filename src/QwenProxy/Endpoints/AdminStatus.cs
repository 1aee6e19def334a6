using System.Globalization;
using System.Reflection;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Credentials;
using QwenProxy.Ledger;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Storage;

namespace QwenProxy.Endpoints;

/// <summary>What <c>/admin/status</c> answers, also for a command that asks no running proxy.</summary>
internal sealed class AdminStatus(CurrentConfiguration configuration, Readiness readiness, Router router, AccountStates states, LedgerWriter? ledger, FleetView? fleet, TimeProvider time)
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
        json.WriteBoolean("draining", readiness.IsDraining);
        json.WriteString("ready", readiness.Obstacle() ?? "yes");
        json.WriteString("configurationFile", snapshot.ConfigFile);
        json.WriteString("configuration", snapshot.Fingerprint);
        json.WriteStartArray("refusedConfiguration");
        foreach (string fault in configuration.Refused) json.WriteStringValue(fault);
        json.WriteEndArray();
        json.WriteNumber("ledgerLost", ledger?.Lost ?? 0);
        json.WriteNumber("runningRequests", readiness.Running);
        json.WriteNumber("leases", router.Pool.LeasesOut);
        json.WriteNumber("waitingRequests", router.Pool.Waiting);
        json.WriteString("degraded", readiness.Degraded());
        if (fleet is not null) FleetStatus.Write(json, fleet);
        ILookup<string, QuotaStanding> quotas = router.Pool.Quotas(now).ToLookup(q => q.Account);
        json.WriteStartArray("accounts");
        foreach ((AccountSnapshot account, AccountState state) in states.All()) WriteAccount(json, account, state, pool, quotas[account.Name], now);
        foreach (AccountSnapshot account in snapshot.DisabledAccounts) WriteAccount(json, account, new AccountState("disabled", "switched off in the configuration"), PoolRecord.Empty, [], now);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteAccount(Utf8JsonWriter json, AccountSnapshot account, AccountState state, PoolRecord pool, IEnumerable<QuotaStanding> quotas, DateTimeOffset now)
    {
        CredentialState? signIn = states.SignInStateOf(account);
        json.WriteStartObject();
        json.WriteString("name", account.Name);
        json.WriteString("kind", account.Kind == AccountKind.QwenOAuth ? "qwen-oauth" : "api-key");
        json.WriteString("profile", account.Profile.Name);
        json.WriteString("host", (signIn?.BaseUrl ?? account.BaseUrl)?.Authority);
        json.WriteNumber("priority", account.Priority);
        json.WriteString("state", state.Name);
        json.WriteString("says", state.Says);
        if (signIn is not null)
        {
            json.WriteString("credentials", signIn.FilePath);
            if (signIn.ExpiresAt is { } expires) json.WriteString("tokenExpires", expires);
        }

        json.WriteString("why", state.Why ?? signIn?.Why);
        if (state.Until is { } until) json.WriteString("until", until.ToString("O", CultureInfo.InvariantCulture));
        json.WriteNumber("running", router.Pool.LoadOf(account.Name));
        if (router.Pool.LimitOf(account.Name) is { } limit)
        {
            json.WriteNumber("atOnce", limit);
            json.WriteBoolean("atOnceLearned", limit != account.MaxConcurrent);
        }

        QuotaJson.Write(json, account, quotas, time.LocalTimeZone);
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
