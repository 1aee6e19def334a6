using Microsoft.Data.Sqlite;

namespace QwenProxy.Ledger;

/// <summary>Takes old rows out of the ledger and gives their room back to the disk, in steps that hold nobody up for long.</summary>
internal static class LedgerPruning
{
    private const int RowsAtOnce = 2000;
    private const int PagesAtOnce = 500;
    private const long DayMilliseconds = 24 * 60 * 60 * 1000;
    private const int Busy = 5;
    private const int Full = 13;

    /// <summary>A file of 0.1 was made without the means to shrink; rewriting it once gives it to it.</summary>
    public static void PrepareToShrink(SqliteConnection connection)
    {
        const int incremental = 2;
        if (LedgerSchema.Number(connection, "PRAGMA auto_vacuum") == incremental) return;
        try
        {
            LedgerSchema.Execute(connection, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
        }
        catch (SqliteException refused) when (refused.SqliteErrorCode is Busy or Full)
        {
            // Somebody else uses it, or there is no room for a second copy: it stays as good a ledger as it was, and the next start tries again.
        }
    }

    /// <summary>
    /// Drops what is older than <paramref name="before"/>, by whole days, so that rows and sums tell the same. Gives the number of rows that went.
    /// </summary>
    public static int Prune(SqliteConnection connection, DateTimeOffset before)
    {
        long day = before.ToUnixTimeMilliseconds() / DayMilliseconds;
        Delete(connection, """
            DELETE FROM days WHERE day < $day; DELETE FROM hours WHERE day < $day;
            DELETE FROM day_latencies WHERE day < $day; DELETE FROM hour_latencies WHERE day < $day
            """, day);
        int gone = 0;
        int step;
        do
        {
            // No clock is more than 12 hours behind UTC; the bound of the time lets the index find them.
            step = Delete(connection, $"""
                DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests
                    WHERE time < $day * 86400000 + 43200000 AND {LedgerSchema.Day} < $day ORDER BY time LIMIT {RowsAtOnce})
                """, day);
            gone += step;
        }
        while (step == RowsAtOnce);
        long free;
        while ((free = LedgerSchema.Number(connection, "PRAGMA freelist_count")) > 0)
        {
            Shrink(connection);
            if (LedgerSchema.Number(connection, "PRAGMA freelist_count") >= free) break;
        }

        return gone;
    }

    private static int Delete(SqliteConnection connection, string sql, long day)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.Parameters.AddWithValue("$day", day);
        return command.ExecuteNonQuery();
    }

    /// <summary>The pragma frees one page for each row that is asked of it.</summary>
    private static void Shrink(SqliteConnection connection)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = $"PRAGMA incremental_vacuum({PagesAtOnce})";
        using SqliteDataReader reader = command.ExecuteReader();
        while (reader.Read())
        {
        }
    }
}
