using System.Collections.Immutable;
using QwenProxy.Configuration;
using QwenProxy.Console.Installed;
using QwenProxy.Core.Clients;

namespace QwenProxy.Console;

/// <summary>What each command does. A command without an action is not offered.</summary>
internal sealed record CommandActions
{
    public Func<ServeOptions, CancellationToken, Task<int>>? Serve { get; init; }

    public Func<DemoOptions, CancellationToken, Task<int>>? Demo { get; init; }

    public Func<SimulateOptions, CancellationToken, Task<int>>? Simulate { get; init; }

    public Func<LoginOptions, CancellationToken, Task<int>>? Login { get; init; }

    public Func<LogoutOptions, CancellationToken, Task<int>>? Logout { get; init; }

    public Func<AccountsOptions, CancellationToken, Task<int>>? Accounts { get; init; }

    public Func<StatusOptions, CancellationToken, Task<int>>? Status { get; init; }

    public Func<StatusOptions, CancellationToken, Task<int>>? Top { get; init; }

    public Func<ModelsOptions, CancellationToken, Task<int>>? Models { get; init; }

    public Func<ConfigOptions, CancellationToken, Task<int>>? Config { get; init; }

    public Func<DoctorOptions, CancellationToken, Task<int>>? Doctor { get; init; }

    public Func<SetupOptions, CancellationToken, Task<int>>? Setup { get; init; }

    public Func<RunAgentOptions, CancellationToken, Task<int>>? RunAgent { get; init; }

    public Func<EnvAgentOptions, CancellationToken, Task<int>>? EnvAgent { get; init; }

    public Func<ReplayOptions, CancellationToken, Task<int>>? Replay { get; init; }

    public Func<UsageOptions, CancellationToken, Task<int>>? Usage { get; init; }

    public Func<RequestsOptions, CancellationToken, Task<int>>? Requests { get; init; }

    public Func<LedgerExportOptions, CancellationToken, Task<int>>? LedgerExport { get; init; }

    public Func<LedgerBackupOptions, CancellationToken, Task<int>>? LedgerBackup { get; init; }

    public Func<VersionOptions, CancellationToken, Task<int>>? Version { get; init; }

    public Func<CompletionOptions, CancellationToken, Task<int>>? Completion { get; init; }

    public Func<ServiceOptions, CancellationToken, Task<int>>? Service { get; init; }

    public Func<UpdateOptions, CancellationToken, Task<int>>? Update { get; init; }

    public KeyActions? Keys { get; init; }
}

internal sealed record KeyActions(
    Func<KeyAddOptions, CancellationToken, Task<int>> Add,
    Func<KeyRotateOptions, CancellationToken, Task<int>> Rotate,
    Func<KeyOptions, CancellationToken, Task<int>> Revoke,
    Func<KeyOptions, CancellationToken, Task<int>> List,
    Func<KeyOptions, CancellationToken, Task<int>> Usage);

/// <param name="Expires">As written; null means never.</param>
internal sealed record KeyAddOptions(string Name, ClientLimits Limits, string? Expires, bool Json, ConfigurationFlags Flags);

/// <param name="Grace">How long the old key goes on working.</param>
internal sealed record KeyRotateOptions(string Name, TimeSpan Grace, bool Json, ConfigurationFlags Flags);

/// <param name="Name">Of the client; empty for all.</param>
internal sealed record KeyOptions(string Name, bool Json, ConfigurationFlags Flags);

internal sealed record ServeOptions(ConfigurationFlags Flags);

/// <param name="Port">Null means that the command chooses.</param>
internal sealed record DemoOptions(int? Port, string? Scenario, bool Once);

/// <param name="ReplayFile">A captured stream to answer with; a full path.</param>
internal sealed record SimulateOptions(int? Port, string? Scenario, string? ReplayFile)
{
    /// <summary>Only the scenarios are wanted.</summary>
    public bool List { get; init; }

    public bool Json { get; init; }
}

internal sealed record LoginOptions(string? Name, bool Json, ConfigurationFlags Flags);

internal sealed record LogoutOptions(string? Name, bool Json, ConfigurationFlags Flags);

internal sealed record AccountsOptions(bool Json, ConfigurationFlags Flags);

internal sealed record StatusOptions(bool Json, ConfigurationFlags Flags);

internal sealed record ModelsOptions(bool Json, ConfigurationFlags Flags);

internal sealed record ConfigOptions(bool Json, bool Schema, ConfigurationFlags Flags);

/// <param name="Probe">A refused key may be sent to the sibling hosts of the service.</param>
internal sealed record DoctorOptions(bool Probe, bool Json, ConfigurationFlags Flags);

internal sealed record SetupOptions(string Client, bool Undo, bool Print, ConfigurationFlags Flags)
{
    public bool Json { get; init; }

    /// <summary>The model the agent shall ask for; null lets the accounts decide.</summary>
    public string? Model { get; init; }

    /// <summary>A model that is not on offer is written all the same.</summary>
    public bool Force { get; init; }

    /// <summary>The client key as written: itself, <c>env:NAME</c> or <c>file:PATH</c>; null lets the command find one.</summary>
    public string? Key { get; init; }
}

/// <param name="Model">Null lets the accounts decide.</param>
/// <param name="Arguments">What the agent is given.</param>
internal sealed record RunAgentOptions(string Agent, string? Model, ImmutableArray<string> Arguments, ConfigurationFlags Flags)
{
    /// <summary>As in <see cref="SetupOptions"/>.</summary>
    public string? Key { get; init; }
}

/// <param name="Model">Null lets the accounts decide.</param>
internal sealed record EnvAgentOptions(string Agent, string? Model, ConfigurationFlags Flags)
{
    /// <summary>As in <see cref="SetupOptions"/>.</summary>
    public string? Key { get; init; }
}

/// <param name="Repair">off, observe, safe or auto.</param>
/// <param name="Dialect">chat, responses or messages.</param>
internal sealed record ReplayOptions(string File, string Repair, string Dialect)
{
    /// <summary>The kind of upstream that was captured, by name; null lets the file's name tell.</summary>
    public string? Profile { get; init; }

    /// <summary>A full path to the chat completions request that was answered; null when it is not known.</summary>
    public string? RequestFile { get; init; }
}

/// <param name="Since">As written: a date, or a span such as 7d or 12h; null means all.</param>
/// <param name="By">Some of model, account, client, dialect, day, hour, in the order asked for.</param>
internal sealed record UsageOptions(string? Since, ImmutableArray<string> By, bool Json, ConfigurationFlags Flags);

/// <param name="RequestId">The one that is wanted; null lists those that fit.</param>
/// <param name="Since">As written; null means all.</param>
internal sealed record RequestsOptions(string? RequestId, string? Since, bool Json, ConfigurationFlags Flags)
{
    public bool Failed { get; init; }

    public string? Model { get; init; }

    public string? Client { get; init; }

    public int Limit { get; init; }
}

/// <param name="Format">csv or jsonl.</param>
/// <param name="Since">As written; null means all.</param>
internal sealed record LedgerExportOptions(string Format, string? Since, ConfigurationFlags Flags);

/// <param name="File">A full path.</param>
/// <param name="Force">A file that exists may be replaced.</param>
internal sealed record LedgerBackupOptions(string File, bool Force, ConfigurationFlags Flags);
