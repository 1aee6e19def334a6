using System.Globalization;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using QwenProxy.Core.Ledger;
using QwenProxy.Storage;

namespace QwenProxy.Ledger;

/// <summary>
/// Writes requests to the ledger of a fleet. The table has a part for each month, made when its first row comes; dropping one is how old rows go. A
/// request is there once, however often it is delivered: its id and time are the key.
/// </summary>
internal static class LedgerRows
{
    /// <summary>As a file's, so that rows of both are read alike.</summary>
    public const string Columns = LedgerQueries.Columns;

    private const string Written = $"{Columns}, offset_minutes, first_step, whole_step, speed_step";

    /// <summary>Taken while parts are made and dropped.</summary>
    private const long Lock = 0x7177656e70617274;

    private static readonly NpgsqlDbType[] s_types =
    [
        NpgsqlDbType.Bigint, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Text,
        NpgsqlDbType.Bigint, NpgsqlDbType.Bigint, NpgsqlDbType.Bigint, NpgsqlDbType.Bigint, NpgsqlDbType.Bigint,
        NpgsqlDbType.Integer, NpgsqlDbType.Integer, NpgsqlDbType.Integer, NpgsqlDbType.Text, NpgsqlDbType.Double, NpgsqlDbType.Double,
        NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Bigint, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Text, NpgsqlDbType.Integer,
        NpgsqlDbType.Integer, NpgsqlDbType.Integer, NpgsqlDbType.Integer, NpgsqlDbType.Integer,
    ];

    /// <summary>
    /// By one COPY, which is the cheapest way and knows no "unless it is there": a batch of which a part had arrived before is written row by row instead.
    /// </summary>
    public static async Task WriteAsync(FleetDatabase database, IReadOnlyList<LedgerEntry> entries, TimeZoneInfo zone, TimeSpan bound, CancellationToken stop)
    {
        try
        {
            await database.RunAsync((connection, given) => CopyAsync(connection, entries, zone, given), stop, bound);
        }
        catch (PostgresException missing) when (missing.SqlState == PostgresErrorCodes.CheckViolation)
        {
            // The server's word for "no part of the table takes this row".
            await MakePartsAsync(database, entries.Select(e => e.Time), stop);
            await database.RunInTransactionAsync((connection, given) => InsertMissingAsync(connection, entries, zone, given), stop, bound);
        }
        catch (PostgresException twice) when (twice.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            await database.RunInTransactionAsync((connection, given) => InsertMissingAsync(connection, entries, zone, given), stop, bound);
        }
    }

    /// <summary>Makes the parts of the table for the months of these times, where they are missing.</summary>
    public static Task MakePartsAsync(FleetDatabase database, IEnumerable<DateTimeOffset> times, CancellationToken stop)
    {
        DateTime[] months = [.. times.Select(MonthOf).Distinct()];
        return database.RunInTransactionAsync(async (connection, given) =>
        {
            await ExecuteAsync(connection, $"SELECT pg_advisory_xact_lock({Lock})", given);
            foreach (DateTime month in months)
            {
                await ExecuteAsync(connection, $"""
                    CREATE TABLE IF NOT EXISTS qwen_proxy.{NameOf(month)} PARTITION OF qwen_proxy.requests
                        FOR VALUES FROM ({Milliseconds(month)}) TO ({Milliseconds(month.AddMonths(1))})
                    """, given);
            }

            return months.Length;
        }, stop);
    }

    /// <summary>Drops the parts of which no row is as young as <paramref name="before"/>, and gives their number. Who cannot have the lock leaves it to who has.</summary>
    public static Task<int> DropPartsAsync(FleetDatabase database, DateTimeOffset before, CancellationToken stop) => database.RunInTransactionAsync(async (connection, given) =>
    {
        // Dropping waits for whoever reads the part; writers would wait behind it.
        await ExecuteAsync(connection, "SET LOCAL lock_timeout = '2s'", given);
        await using (NpgsqlCommand turn = new($"SELECT pg_try_advisory_xact_lock({Lock})", connection))
        {
            if (await turn.ExecuteScalarAsync(given) is not true) return 0;
        }

        List<string> old = [];
        await using (NpgsqlCommand query = new("SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'qwen_proxy.requests'::regclass", connection))
        await using (NpgsqlDataReader row = await query.ExecuteReaderAsync(given))
        {
            while (await row.ReadAsync(given))
            {
                // Names are NameOf's; a part that somebody made by hand is not ours to drop.
                string name = row.GetString(0);
                if (DateTime.TryParseExact(name, "'requests_'yyyyMM", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTime month) && month.AddMonths(1) <= before.UtcDateTime) old.Add(name);
            }
        }

        foreach (string name in old) await ExecuteAsync(connection, $"DROP TABLE qwen_proxy.{name}", given);
        return old.Count;
    }, stop);

    /// <summary>What a text column takes: PostgreSQL knows no zero byte and no half of a character, both of which a client may put into a model's name.</summary>
    public static string Storable(string text)
    {
        bool isGood = true;
        foreach (char c in text) isGood &= c != '\0' && !char.IsSurrogate(c);
        return isGood ? text : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace('\0', '\uFFFD');
    }

    private static async Task CopyAsync(NpgsqlConnection connection, IReadOnlyList<LedgerEntry> entries, TimeZoneInfo zone, CancellationToken stop)
    {
        await using NpgsqlBinaryImporter import = await connection.BeginBinaryImportAsync($"COPY qwen_proxy.requests ({Written}) FROM STDIN (FORMAT BINARY)", stop);
        foreach (LedgerEntry entry in entries)
        {
            await import.StartRowAsync(stop);
            object?[] values = ValuesOf(entry, zone);
            for (int i = 0; i < values.Length; i++) await WriteAsync(import, values[i], s_types[i], stop);
        }

        await import.CompleteAsync(stop);
    }

    private static Task WriteAsync(NpgsqlBinaryImporter import, object? value, NpgsqlDbType type, CancellationToken stop) => value switch
    {
        null => import.WriteNullAsync(stop),
        long number => import.WriteAsync(number, type, stop),
        int number => import.WriteAsync(number, type, stop),
        double number => import.WriteAsync(number, type, stop),
        _ => import.WriteAsync((string)value, type, stop),
    };

    private static async Task<int> InsertMissingAsync(NpgsqlConnection connection, IReadOnlyList<LedgerEntry> entries, TimeZoneInfo zone, CancellationToken stop)
    {
        string places = string.Join(", ", Enumerable.Range(1, s_types.Length).Select(i => $"${i}"));
        await using NpgsqlBatch batch = new(connection);
        foreach (LedgerEntry entry in entries)
        {
            NpgsqlBatchCommand insert = new($"INSERT INTO qwen_proxy.requests ({Written}) VALUES ({places}) ON CONFLICT DO NOTHING");
            object?[] values = ValuesOf(entry, zone);
            for (int i = 0; i < values.Length; i++) insert.Parameters.Add(new NpgsqlParameter { Value = values[i] ?? DBNull.Value, NpgsqlDbType = s_types[i] });
            batch.BatchCommands.Add(insert);
        }

        return await batch.ExecuteNonQueryAsync(stop);
    }

    /// <summary>In the order of the columns written.</summary>
    private static object?[] ValuesOf(LedgerEntry entry, TimeZoneInfo zone)
    {
        bool isComplete = entry.End == "complete";
        double whole = entry.Duration.TotalMilliseconds;
        double? first = entry.FirstByte?.TotalMilliseconds;
        double? speed = entry.Tokens?.Output > 0 && whole - first >= 200 ? entry.Tokens.Value.Output * 1000.0 / (whole - first) : null;
        return
        [
            entry.Time.ToUnixTimeMilliseconds(), Text(entry.RequestId), Text(entry.Dialect), Text(entry.Client), Text(entry.AskedModel), Text(entry.ServedModel), Text(entry.Account),
            entry.Tokens?.Input, entry.Tokens?.Output, entry.Tokens?.Cached, entry.Tokens?.CacheWritten, entry.Tokens?.Reasoning,
            entry.Attempts, entry.Resumes, entry.Status, Text(entry.End), whole, first,
            Text(entry.Source), Text(entry.Code), Text(entry.Tried), LedgerSchema.Nano(entry.Cost), Text(entry.Fix), Text(entry.Steps), Text(entry.Repairs), entry.Repaired,
            (int)zone.GetUtcOffset(entry.Time).TotalMinutes, Step(first), Step(whole), Step(speed),
        ];

        static string? Text(string? text) => text is null ? null : Storable(text);

        int? Step(double? value) => isComplete && value is { } known ? (int)LatencyScale.StepOf(known) : null;
    }

    private static DateTime MonthOf(DateTimeOffset time) => new(time.UtcDateTime.Year, time.UtcDateTime.Month, 1, 0, 0, 0, DateTimeKind.Utc);

    private static string NameOf(DateTime month) => month.ToString("'requests_'yyyyMM", CultureInfo.InvariantCulture);

    private static long Milliseconds(DateTime moment) => new DateTimeOffset(moment).ToUnixTimeMilliseconds();

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken stop)
    {
        await using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync(stop);
    }
}
