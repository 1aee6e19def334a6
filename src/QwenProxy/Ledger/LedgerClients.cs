using Microsoft.Data.Sqlite;
using QwenProxy.Core.Clients;

namespace QwenProxy.Ledger;

/// <summary>What the ledger says of clients by name; of a ledger that does not exist yet, nothing comes back.</summary>
internal static class LedgerClients
{
    /// <summary>What each has taken since the beginning of a day of this machine's calendar, by sums that are kept.</summary>
    public static IReadOnlyDictionary<string, ClientTake> Taken(string path, DateTime firstDay)
    {
        if (!File.Exists(path)) return new Dictionary<string, ClientTake>();
        using SqliteConnection connection = LedgerFile.Open(path);
        using SqliteCommand query = connection.CreateCommand();
        query.CommandText = "SELECT client, SUM(input + output), SUM(cost_nano) FROM days WHERE day >= $day AND client <> '' GROUP BY client";
        query.Parameters.AddWithValue("$day", (long)(firstDay.Date - DateTime.UnixEpoch).TotalDays);
        using SqliteDataReader row = query.ExecuteReader();
        Dictionary<string, ClientTake> taken = new(StringComparer.Ordinal);
        while (row.Read()) taken[row.GetString(0)] = new ClientTake(row.GetInt64(1), LedgerSchema.Dollars(row.IsDBNull(2) ? null : row.GetInt64(2)) ?? 0);
        return taken;
    }

    /// <summary>When the last request of each ended.</summary>
    public static IReadOnlyDictionary<string, DateTimeOffset> LastSeen(string path)
    {
        if (!File.Exists(path)) return new Dictionary<string, DateTimeOffset>();
        using SqliteConnection connection = LedgerFile.Open(path);
        using SqliteCommand query = connection.CreateCommand();
        // The sums know the hour, and within an hour there are few rows to look at.
        query.CommandText = """
            SELECT h.client, (SELECT MAX(time) FROM requests r WHERE r.client = h.client AND r.time >= h.hour AND r.time < h.hour + 3600000), h.hour
            FROM (SELECT client, MAX(hour) AS hour FROM hours WHERE client <> '' GROUP BY client) h
            """;
        using SqliteDataReader row = query.ExecuteReader();
        Dictionary<string, DateTimeOffset> seen = new(StringComparer.Ordinal);
        while (row.Read()) seen[row.GetString(0)] = DateTimeOffset.FromUnixTimeMilliseconds(row.IsDBNull(1) ? row.GetInt64(2) : row.GetInt64(1));
        return seen;
    }
}
