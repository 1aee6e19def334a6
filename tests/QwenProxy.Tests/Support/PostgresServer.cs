using System.Diagnostics;
using System.Globalization;
using Npgsql;
using QwenProxy.Core.Accounts;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

[assembly: AssemblyFixture(typeof(PostgresServer))]

namespace QwenProxy.Tests.Support;

/// <summary>
/// A throw-away PostgreSQL on a socket in a folder of its own, made by the first test that wants one and gone with the process. A test class takes it by
/// its constructor and asks for a database; where no PostgreSQL is installed, the test is skipped and says so.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private static readonly string[] s_folders = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt"];

    private readonly SemaphoreSlim _starting = new(1, 1);
    private TemporaryFolder? _folder;
    private Process? _process;
    private string? _missing;
    private int _databases;

    private string Socket => Path.Combine(_folder!.Path, "socket");

    /// <summary>The socket's own path, for a <see cref="DatabaseLink"/>.</summary>
    public string SocketFile => Path.Combine(Socket, ".s.PGSQL.5432");

    /// <summary>An empty database of the test's own, as a URL.</summary>
    public async Task<string> NewDatabaseAsync()
    {
        await StartAsync();
        string name = string.Create(CultureInfo.InvariantCulture, $"test{Interlocked.Increment(ref _databases)}");
        await ExecuteAsync(UrlOf("postgres"), $"CREATE DATABASE {name}");
        return UrlOf(name);
    }

    internal static DatabaseAddress AddressOf(string url) => DatabaseAddress.Parse(new Secret(url), out string? fault) ?? throw new ArgumentException(fault, nameof(url));

    /// <summary>What a statement gives in its first row and column; null for nothing.</summary>
    public static async Task<object?> ExecuteAsync(string url, string sql)
    {
        await using NpgsqlConnection connection = new(AddressOf(url).ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using NpgsqlCommand command = new(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            // The shell around the server ends it when nobody holds its input any more.
            _process.StandardInput.Close();
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        _folder?.Dispose();
        _starting.Dispose();
    }

    private string UrlOf(string database) => $"postgres://postgres@/{database}?host={Socket}";

    private async Task StartAsync()
    {
        await _starting.WaitAsync();
        try
        {
            if (_process is null && _missing is null) await StartOnceAsync();
        }
        finally
        {
            _starting.Release();
        }

        if (_missing is not null) Assert.Skip(_missing);
    }

    private async Task StartOnceAsync()
    {
        if (OperatingSystem.IsWindows() || FindPrograms() is not { } programs)
        {
            _missing = "No PostgreSQL is installed here (initdb and postgres were looked for in PATH and below /usr/lib/postgresql); on Debian: apt-get install postgresql.";
            return;
        }

        _folder = new TemporaryFolder();
        // PostgreSQL refuses to run as root; the package makes a user for it.
        string asUser = "";
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync($"chown postgres '{_folder.Path}'");
            asUser = "setpriv --reuid postgres --regid postgres --clear-groups ";
        }

        string data = _folder.Of("data");
        await RunAsync($"cd / && {asUser}mkdir '{Socket}' && {asUser}'{programs}/initdb' --pgdata '{data}' --username postgres --auth trust --encoding UTF8 --locale C --no-sync");
        // The server is the shell's child: when the tests end, however that comes, the pipe closes and the shell ends it.
        string serve = $"cd / && {asUser}'{programs}/postgres' -D '{data}' -k '{Socket}' -c listen_addresses= -c fsync=off -c max_connections=900 -c shared_buffers=32MB > '{_folder.Of("log")}' 2>&1 & "
            + "server=$!; cat > /dev/null; kill -QUIT $server; wait $server";
        _process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", serve]) { RedirectStandardInput = true })!;
        await Until.TrueAsync(() => File.Exists(SocketFile), TimeSpan.FromSeconds(60));
        await WaitUntilItServesAsync();
    }

    private async Task WaitUntilItServesAsync()
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                await ExecuteAsync(UrlOf("postgres"), "SELECT 1");
                return;
            }
            catch (NpgsqlException) when (attempt < 100)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            }
        }
    }

    private static string? FindPrograms()
    {
        IEnumerable<string> path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        IEnumerable<string> installed = s_folders.Where(Directory.Exists).SelectMany(f => Directory.EnumerateDirectories(f)).OrderDescending(StringComparer.Ordinal).Select(f => Path.Combine(f, "bin"));
        return path.Concat(installed).FirstOrDefault(f => File.Exists(Path.Combine(f, "initdb")) && File.Exists(Path.Combine(f, "postgres")));
    }

    private static async Task RunAsync(string command)
    {
        using Process process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{command}: {await output}{errors}");
    }
}
