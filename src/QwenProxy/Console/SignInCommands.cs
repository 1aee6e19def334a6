using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Credentials;
using QwenProxy.Storage;

namespace QwenProxy.Console;

/// <summary><c>login</c> and <c>logout</c>: the command line's side of them.</summary>
internal sealed class SignInCommands(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf)
{
    public Task<int> LoginAsync(LoginOptions options, CancellationToken stop) => RunAsync(options.Name, options.Json, options.Flags, LoginCommand.RunAsync, stop);

    public Task<int> LogoutAsync(LogoutOptions options, CancellationToken stop) => RunAsync(options.Name, json: false, options.Flags, LogoutCommand.RunAsync, stop);

    /// <summary>The device login by itself, as <c>serve</c> starts it when there is no account.</summary>
    public static Credentials.LoginOptions OptionsFor(string? name, bool json, StorageSnapshot storage) => new()
    {
        Name = name,
        QwenHome = storage.QwenHome,
        OAuthBaseUrl = storage.OAuthBaseUrl,
        Json = json,
        IsTerminal = !System.Console.IsErrorRedirected,
    };

    private async Task<int> RunAsync(
        string? name, bool json, ConfigurationFlags flags, Func<Credentials.LoginOptions, TextWriter, TextWriter, CancellationToken, Task<int>> run, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        Credentials.LoginOptions options = OptionsFor(name, json, snapshot.Storage);
        string account = name ?? DiscoveredAccounts.UnnamedAccount;
        bool isFile = snapshot.Accounts.Concat(snapshot.DisabledAccounts).Any(a => a.Name == account && a.CredentialsPath is not null);
        if (snapshot.Storage.Database is not { } address || isFile) return await run(options, terminal.Out, terminal.Error, stop);
        if (snapshot.Storage.SecretKeys is not { } keys)
        {
            terminal.Error.WriteLine($"Sign-ins are kept in storage.database, sealed: set storage.secretKey, which must be {SealingKeys.Allowed}.");
            return ExitCodes.BadUsage;
        }

        await using FleetDatabase database = new(address, TimeProvider.System, NullLogger.Instance);
        FleetCredentials fleet = new(database, keys, TokenBrokerOptions.RandomId, TimeProvider.System, static () => 0.5);
        await fleet.ReadAsync(stop);
        return await run(options with { Store = fleet.StoreOf(account) }, terminal.Out, terminal.Error, stop);
    }
}
