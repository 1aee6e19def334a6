using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Checks;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Hosting;

namespace QwenProxy.Console;

/// <summary>
/// <c>qwen-proxy doctor</c>: checks each account and prints the fix for each fault. It asks the services itself; no running proxy is needed, and
/// nothing of the data folder is touched.
/// </summary>
internal sealed class DoctorCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    /// <summary>How long there is silence before the names of those that are still awaited are told.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    public async Task<int> RunAsync(DoctorOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        await using ProxyRuntime runtime = new(snapshot with { Storage = snapshot.Storage with { DataFolder = "" } }, NullLoggerFactory.Instance, time, new Random());
        foreach (AccountSnapshot disabled in snapshot.DisabledAccounts) terminal.Error.WriteLine($"{disabled.Name} is switched off in the configuration and is not checked.");
        ImmutableArray<AccountReport> reports = await CheckAsync(runtime, options.Probe, stop);
        if (options.Json) JsonPrinter.Print(terminal, json => Write(json, reports));
        else if (reports.Length > 0) Print(reports);
        if (reports.IsEmpty) terminal.Error.WriteLine(runtime.Readiness.Obstacle());
        return !reports.IsEmpty && reports.All(r => r.Faults == 0) ? ExitCodes.Done : ExitCodes.NotFound;
    }

    /// <summary>All accounts side by side, told one by one as they come, in the configuration's order at the end.</summary>
    private async Task<ImmutableArray<AccountReport>> CheckAsync(ProxyRuntime runtime, bool mayProbe, CancellationToken stop)
    {
        AccountDoctor doctor = new(runtime.Upstreams.Authorizer, runtime.Upstreams.Transport, runtime.Router.Table, runtime.Snapshot, time, mayProbe);
        ImmutableArray<AccountSnapshot> accounts = runtime.Snapshot.Accounts;
        if (accounts.IsEmpty) return [];
        terminal.Error.WriteLine($"Checking {(accounts.Length == 1 ? "1 account" : $"{accounts.Length} accounts")}, at most {AccountDoctor.Bound.TotalSeconds:0} s …");
        Task<AccountReport>[] checks = [.. accounts.Select(a => doctor.CheckAsync(a, stop))];
        HashSet<Task<AccountReport>> waiting = [.. checks];
        while (waiting.Count > 0)
        {
            using CancellationTokenSource silence = new();
            Task pause = Task.Delay(s_patience, time, silence.Token);
            Task first = await Task.WhenAny(waiting.Append(pause));
            await silence.CancelAsync();
            foreach (Task<AccountReport> done in checks.Where(c => c.IsCompleted && waiting.Remove(c))) Tell(await done);
            if (first == pause && waiting.Count > 0)
                terminal.Error.WriteLine($"Still waiting for {string.Join(", ", accounts.Where((_, i) => waiting.Contains(checks[i])).Select(a => a.Name))} …");
        }

        return [.. await Task.WhenAll(checks)];
    }

    private void Tell(AccountReport report) =>
        terminal.Error.WriteLine($"{report.Account.Name}: {(report.Faults == 0 ? "no fault" : report.Faults == 1 ? "1 fault" : $"{report.Faults} faults")}");

    private void Print(ImmutableArray<AccountReport> reports)
    {
        TablePrinter.Print(terminal, ["ACCOUNT", "CHECK", "RESULT", "WHAT"],
            [.. reports.SelectMany(r => r.Findings.Select(f => new[] { r.Account.Name, Word(f.Check), Word(f.Result), f.Says }))]);
        foreach (AccountReport report in reports)
        {
            // Below the table, whole lines that can be copied.
            foreach (Finding finding in report.Findings.Where(f => f.Fix is not null))
                terminal.Out.WriteLine($"{(finding.Result == CheckResult.Fault ? "fix" : "hint")} {report.Account.Name} {Word(finding.Check)}: {finding.Fix}");
        }
    }

    private static void Write(Utf8JsonWriter json, ImmutableArray<AccountReport> reports)
    {
        json.WriteStartObject();
        json.WriteBoolean("ok", !reports.IsEmpty && reports.All(r => r.Faults == 0));
        json.WriteStartArray("accounts");
        foreach (AccountReport report in reports)
        {
            json.WriteStartObject();
            json.WriteString("name", report.Account.Name);
            json.WriteString("profile", report.Account.Profile.Name);
            json.WriteBoolean("ok", report.Faults == 0);
            json.WriteStartArray("checks");
            foreach (Finding finding in report.Findings) Write(json, finding);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Finding finding)
    {
        json.WriteStartObject();
        json.WriteString("check", Word(finding.Check));
        json.WriteString("result", Word(finding.Result));
        json.WriteString("says", finding.Says);
        json.WriteString("fix", finding.Fix);
        json.WriteEndObject();
    }

    private static string Word<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
