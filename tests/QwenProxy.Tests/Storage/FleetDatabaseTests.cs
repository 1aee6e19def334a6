using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Storage;

public sealed class FleetDatabaseTests(PostgresServer postgres)
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task TenReplicasThatBeginTogether_MakeTheTablesOnce()
    {
        string url = await postgres.NewDatabaseAsync();
        FleetDatabase[] replicas = [.. Enumerable.Range(0, 10).Select(_ => Open(url))];
        Assert.All(await Task.WhenAll(replicas.Select(r => NumberAsync(r, "SELECT max(version) FROM qwen_proxy.migrations"))), v => Assert.Equal(FleetSchema.Migrations.Count, v));
        Assert.Equal((long)FleetSchema.Migrations.Count, await PostgresServer.ExecuteAsync(url, "SELECT count(*) FROM qwen_proxy.migrations"));
        foreach (FleetDatabase replica in replicas) await replica.DisposeAsync();
    }

    [Fact]
    public async Task OldAndNewVersion_RunSideBySideOverOneMigration()
    {
        string url = await postgres.NewDatabaseAsync();
        Migration[] first = [new(1, "CREATE TABLE qwen_proxy.things (name text PRIMARY KEY)")];
        Migration[] second = [.. first, new(1, "ALTER TABLE qwen_proxy.things ADD COLUMN size integer")];
        Migration[] third = [.. second, new(2, "ALTER TABLE qwen_proxy.things ALTER COLUMN size SET DEFAULT 1")];
        await using FleetDatabase old = Open(url, first);
        await ExecuteAsync(old, "INSERT INTO qwen_proxy.things (name) VALUES ('of the old one')");
        await using FleetDatabase young = Open(url, second);
        await ExecuteAsync(young, "INSERT INTO qwen_proxy.things (name, size) VALUES ('of the new one', 2)");
        await ExecuteAsync(old, "INSERT INTO qwen_proxy.things (name) VALUES ('of the old one, later')");
        await using FleetDatabase oldAgain = Open(url, first);
        Assert.Equal(3, await NumberAsync(oldAgain, "SELECT count(*)::integer FROM qwen_proxy.things"));

        await using FleetDatabase youngest = Open(url, third);
        await ExecuteAsync(youngest, "SELECT 1");
        await ExecuteAsync(young, "SELECT 1");
        await using FleetDatabase tooOld = Open(url, first);
        NewerDatabaseException refused = await Assert.ThrowsAsync<NewerDatabaseException>(() => ExecuteAsync(tooOld, "SELECT 1"));
        Assert.Contains("Update this replica", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MigrationThatFails_LeavesNothingBehind()
    {
        string url = await postgres.NewDatabaseAsync();
        await using FleetDatabase broken = Open(url, [new(1, "CREATE TABLE qwen_proxy.half (a integer); SELECT nonsense")]);
        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(broken, "SELECT 1"));
        Assert.Equal(false, await PostgresServer.ExecuteAsync(url, "SELECT to_regclass('qwen_proxy.migrations') IS NOT NULL OR to_regclass('qwen_proxy.half') IS NOT NULL"));
    }

    [Fact]
    public async Task DatabaseThatGoesAway_IsToldOnceWithTheReason_AndOnceWhenItIsBack()
    {
        string url = await postgres.NewDatabaseAsync();
        await using DatabaseLink link = new(postgres, url);
        LogBook log = new();
        using ILoggerFactory loggers = LoggerFactory.Create(b => b.AddProvider(log));
        await using FleetDatabase database = new(PostgresServer.AddressOf(link.Url), TimeProvider.System, loggers.CreateLogger("test"));
        await ExecuteAsync(database, "SELECT 1");
        Assert.Null(database.Trouble);
        link.Cut();
        for (int i = 0; i < 3; i++) await Assert.ThrowsAsync<DatabaseAwayException>(() => ExecuteAsync(database, "SELECT 1"));
        Assert.NotNull(database.Trouble);
        link.Mend();
        await ExecuteAsync(database, "SELECT 1");
        Assert.Null(database.Trouble);
        Assert.Single(log.At(LogLevel.Error));
        Assert.Contains("serves again", Assert.Single(log.At(LogLevel.Information)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task DatabaseThatIsSilent_HoldsNobodyLongerThanTheBound()
    {
        string url = await postgres.NewDatabaseAsync();
        await using DatabaseLink link = new(postgres, url);
        await using FleetDatabase database = Open(link.Url);
        await ExecuteAsync(database, "SELECT 1");
        link.Silence();
        long began = TimeProvider.System.GetTimestamp();
        DatabaseAwayException away = await Assert.ThrowsAsync<DatabaseAwayException>(() => database.RunAsync(SelectOneAsync, CancellationToken.None, TimeSpan.FromSeconds(0.5)));
        Assert.Equal("no answer within 0.5 s", away.Problem);
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.FromSeconds(0.4), TimeSpan.FromSeconds(5));
        Assert.Equal("no answer within 0.5 s", database.Trouble!.Problem);
    }

    [Fact]
    public async Task FaultInWhatWasAsked_IsNotTakenForAnAbsence()
    {
        await using FleetDatabase database = Open(await postgres.NewDatabaseAsync());
        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(database, "SELECT nonsense"));
        Assert.Null(database.Trouble);
    }

    [Fact]
    public async Task WrongPasswordOrName_IsAnAbsenceWithTheServersWords()
    {
        string url = await postgres.NewDatabaseAsync();
        await using FleetDatabase database = Open(url.Replace("/test", "/nowhere", StringComparison.Ordinal));
        DatabaseAwayException away = await Assert.ThrowsAsync<DatabaseAwayException>(() => ExecuteAsync(database, "SELECT 1"));
        Assert.Contains("does not exist", away.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChangeOfARow_ReachesAnotherReplicaAtOnce()
    {
        string url = await postgres.NewDatabaseAsync();
        await using FleetDatabase writer = Open(url);
        await using FleetDatabase reader = Open(url);
        int readings = 0;
        reader.Notices.Watch("things", _ => Task.FromResult(Interlocked.Increment(ref readings)));
        reader.Notices.Start();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 1, s_soon);
        // The look has passed: until the next one, five seconds later, only the notice can tell.
        long began = TimeProvider.System.GetTimestamp();
        await PublishAsync(writer, "things");
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 2, s_soon);
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(4));
        await PublishAsync(writer, "others");
        await PublishAsync(writer, "things");
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 3, s_soon);
    }

    [Fact]
    public async Task ChangeThatWasUndone_IsNotTold()
    {
        string url = await postgres.NewDatabaseAsync();
        await using FleetDatabase database = Open(url);
        await Assert.ThrowsAsync<PostgresException>(() => database.RunInTransactionAsync(async (connection, stop) =>
        {
            await FleetNotices.PublishAsync(connection, "things", stop);
            await using NpgsqlCommand broken = new("SELECT nonsense", connection);
            return await broken.ExecuteScalarAsync(stop);
        }, CancellationToken.None));
        Assert.Equal(0L, await PostgresServer.ExecuteAsync(url, "SELECT count(*) FROM qwen_proxy.topics"));
    }

    [Fact]
    public async Task ChangeWhileTheConnectionIsDown_IsFoundByTheNextLook()
    {
        string url = await postgres.NewDatabaseAsync();
        await using DatabaseLink link = new(postgres, url);
        await using FleetDatabase writer = Open(url);
        await using FleetDatabase reader = Open(link.Url);
        int readings = 0;
        reader.Notices.Watch("things", _ => Task.FromResult(Interlocked.Increment(ref readings)));
        reader.Notices.Start();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 1, s_soon);
        link.Cut();
        await PublishAsync(writer, "things");
        await Until.TrueAsync(() => reader.Trouble is not null, s_soon);
        link.Mend();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 2, s_soon);
        await Until.TrueAsync(() => reader.Trouble is null, s_soon);
    }

    [Fact]
    public async Task NetworkThatGoesSilent_IsNoticedAndWhatChangedIsFoundAfterwards()
    {
        string url = await postgres.NewDatabaseAsync();
        await using DatabaseLink link = new(postgres, url);
        await using FleetDatabase writer = Open(url);
        await using FleetDatabase reader = Open(link.Url);
        int readings = 0;
        reader.Notices.Watch("things", _ => Task.FromResult(Interlocked.Increment(ref readings)));
        reader.Notices.Start();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 1, s_soon);
        link.Silence();
        await PublishAsync(writer, "things");
        await Until.TrueAsync(() => reader.Trouble is not null, TimeSpan.FromSeconds(15));
        link.Cut();
        link.Mend();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 2, s_soon);
    }

    [Fact]
    public async Task ReadingThatFails_IsTriedAgain()
    {
        string url = await postgres.NewDatabaseAsync();
        await using FleetDatabase reader = Open(url);
        int readings = 0;
        reader.Notices.Watch("things", _ => Interlocked.Increment(ref readings) == 1 ? throw new DatabaseAwayException("x", "away") : Task.CompletedTask);
        reader.Notices.Start();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 2, s_soon);
    }

    [Fact]
    public async Task ChangesWhileAReadingRuns_AreOneReadingMore()
    {
        string url = await postgres.NewDatabaseAsync();
        await using FleetDatabase database = Open(url);
        TaskCompletionSource first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int readings = 0;
        database.Notices.Watch("things", _ => Interlocked.Increment(ref readings) == 1 ? first.Task : Task.CompletedTask);
        database.Notices.Start();
        await Until.TrueAsync(() => Volatile.Read(ref readings) == 1, s_soon);
        for (int i = 0; i < 20; i++) await PublishAsync(database, "things");
        // What was told before this last one has arrived with it.
        TaskCompletionSource told = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FleetDatabase other = Open(url);
        other.Notices.Watch("things", _ => Task.FromResult(told.TrySetResult()));
        other.Notices.Start();
        await told.Task.WaitAsync(s_soon);
        first.SetResult();
        await Until.TrueAsync(() => Volatile.Read(ref readings) >= 2, s_soon);
        Assert.InRange(readings, 2, 3);
    }

    private static FleetDatabase Open(string url, IReadOnlyList<Migration>? migrations = null) => new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance, migrations);

    private static Task PublishAsync(FleetDatabase database, string topic) => database.RunAsync((c, stop) => FleetNotices.PublishAsync(c, topic, stop), CancellationToken.None);

    private static Task ExecuteAsync(FleetDatabase database, string sql) => database.RunAsync(async (connection, stop) =>
    {
        await using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync(stop);
    }, CancellationToken.None);

    private static Task<int> NumberAsync(FleetDatabase database, string sql) => database.RunAsync(async (connection, stop) =>
    {
        await using NpgsqlCommand command = new(sql, connection);
        return (int)(await command.ExecuteScalarAsync(stop))!;
    }, CancellationToken.None);

    private static async Task SelectOneAsync(NpgsqlConnection connection, CancellationToken stop)
    {
        await using NpgsqlCommand command = new("SELECT 1", connection);
        await command.ExecuteScalarAsync(stop);
    }
}
