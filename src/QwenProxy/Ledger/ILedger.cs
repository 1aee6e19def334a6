using System.Collections.Immutable;
using Microsoft.Data.Sqlite;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Ledger;
using QwenProxy.Storage;

namespace QwenProxy.Ledger;

/// <summary>What is asked of a ledger, a file's or a database's. Every question blocks until it is answered.</summary>
internal interface ILedger
{
    /// <summary>Where it is, in words for a person.</summary>
    string Place { get; }

    /// <summary>False for a file that no request has made yet: nothing comes back of it.</summary>
    bool Exists { get; }

    /// <summary>All rows since a moment, one by one, oldest first.</summary>
    IEnumerable<LedgerEntry> Read(DateTimeOffset? since);

    /// <summary>The newest rows that fit, newest first.</summary>
    ImmutableArray<LedgerEntry> Find(LedgerFilter filter);

    /// <summary>Sums since a moment, by what <paramref name="by"/> asks for and no finer.</summary>
    IEnumerable<UsageSum> Sums(DateTimeOffset? since, ImmutableArray<string> by, TimeZoneInfo zone);

    /// <summary>How many answers lie in each step of <see cref="LatencyScale"/>, by whole hours or days, the one of <paramref name="since"/> included.</summary>
    IEnumerable<LatencyCount> Latencies(DateTimeOffset since, bool byDay, string? model, TimeZoneInfo zone);

    /// <summary>What each client has taken since the beginning of a day.</summary>
    IReadOnlyDictionary<string, ClientTake> Taken(DateTime firstDay);

    /// <summary>When the last request of each client ended.</summary>
    IReadOnlyDictionary<string, DateTimeOffset> LastSeen();
}

/// <summary>The ledger of one machine.</summary>
internal sealed class FileLedger(string path) : ILedger
{
    public string Place => path;

    public bool Exists => File.Exists(path);

    public IEnumerable<LedgerEntry> Read(DateTimeOffset? since) => LedgerQueries.Read(path, since);

    public ImmutableArray<LedgerEntry> Find(LedgerFilter filter) => LedgerQueries.Find(path, filter);

    public IEnumerable<UsageSum> Sums(DateTimeOffset? since, ImmutableArray<string> by, TimeZoneInfo zone) => LedgerQueries.Sums(path, since, by, zone);

    public IEnumerable<LatencyCount> Latencies(DateTimeOffset since, bool byDay, string? model, TimeZoneInfo zone) => LedgerQueries.Latencies(path, since, byDay, model, zone);

    public IReadOnlyDictionary<string, ClientTake> Taken(DateTime firstDay) => LedgerClients.Taken(path, firstDay);

    public IReadOnlyDictionary<string, DateTimeOffset> LastSeen() => LedgerClients.LastSeen(path);
}

internal static class Ledgers
{
    /// <summary>The one that a configuration means.</summary>
    public static ILedger Of(StorageSnapshot storage, FleetDatabase? database) =>
        database is null ? new FileLedger(Path.Combine(storage.DataFolder, LedgerFile.Name)) : new DatabaseLedger(database);

    /// <summary>A ledger that is damaged, away or of a newer version: told with its own words.</summary>
    public static bool IsFault(Exception failure) => failure is SqliteException or NewerLedgerException or DatabaseAwayException or NewerDatabaseException;
}
