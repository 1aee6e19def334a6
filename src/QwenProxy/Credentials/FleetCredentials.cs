using System.Collections.Concurrent;
using System.Collections.Immutable;
using Npgsql;
using NpgsqlTypes;
using QwenProxy.Core.Credentials;
using QwenProxy.Storage;

namespace QwenProxy.Credentials;

/// <summary>One row, opened: the sign-in, or why it cannot be used.</summary>
internal sealed record CredentialsRow(long Version, DateTime ChangedUtc, QwenCredentials? Credentials, string? Fault, bool IsSignedOut)
{
    public static readonly CredentialsRow None = new(0, default, null, null, IsSignedOut: false);
}

/// <summary>The sign-ins of a fleet as this replica last saw them. Brokers look here; the database's notices keep it fresh.</summary>
internal sealed class FleetCredentials(FleetDatabase database, SealingKeys keys, Func<string> newId, TimeProvider time, Func<double> chance)
{
    public const string Topic = "credentials";

    private const string Columns = "version, changed, key_id, sealed, signed_out";

    private readonly ConcurrentDictionary<string, CredentialsRow> _rows = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _isRead = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Name => $"the database {database.Name}";

    /// <summary>Completes when the rows were read for the first time.</summary>
    public Task FirstReading => _isRead.Task;

    /// <summary>The accounts that have a sign-in.</summary>
    public ImmutableArray<string> Accounts => [.. _rows.Where(r => r.Value is { Version: > 0, IsSignedOut: false }).Select(r => r.Key).Order(StringComparer.Ordinal)];

    /// <summary>Reads all rows again.</summary>
    public async Task ReadAsync(CancellationToken stop)
    {
        List<(string Account, CredentialsRow Row)> rows = await database.RunAsync(async (connection, given) =>
        {
            List<(string, CredentialsRow)> read = [];
            await using NpgsqlCommand query = new($"SELECT {Columns}, account FROM qwen_proxy.credentials", connection);
            await using NpgsqlDataReader row = await query.ExecuteReaderAsync(given);
            while (await row.ReadAsync(given)) read.Add((row.GetString(5), RowOf(row, row.GetString(5), 0)));
            return read;
        }, stop);
        foreach ((string account, CredentialsRow row) in rows) Take(account, row);
        _isRead.TrySetResult();
    }

    public DatabaseCredentials StoreOf(string account) => new(this, database, account, newId(), time, chance);

    /// <summary>What was last seen of an account; null before the first reading.</summary>
    internal CredentialsRow? Of(string account) => _rows.GetValueOrDefault(account) ?? (_isRead.Task.IsCompleted ? CredentialsRow.None : null);

    /// <summary>Readings may overtake each other; the newest row stays.</summary>
    internal CredentialsRow Take(string account, CredentialsRow row) => _rows.AddOrUpdate(account, row, (_, known) => known.Version > row.Version ? known : row);

    /// <summary>
    /// Takes the lease of an account when nobody has one, and gives its fence with the row as it is; null while another holds it. Times are the server's,
    /// so that no replica's clock matters.
    /// </summary>
    internal Task<(long Fence, bool IsInDoubt, CredentialsRow Row)?> LeaseAsync(string account, string holder, TimeSpan length, TimeSpan patience, CancellationToken stop) =>
        database.RunAsync(async (connection, given) =>
        {
            await using NpgsqlCommand lease = new($"""
                INSERT INTO qwen_proxy.credentials AS c (account, fence, holder, lease_until) VALUES ($1, 1, $2, now() + $3)
                ON CONFLICT (account) DO UPDATE SET fence = c.fence + 1, holder = $2, lease_until = now() + $3,
                    taken_over = CASE WHEN c.holder IS NOT NULL AND c.holder <> $2 THEN now() ELSE c.taken_over END
                    WHERE c.holder IS NULL OR c.holder = $2 OR c.lease_until + $4 < now()
                RETURNING fence, COALESCE(taken_over > now() - $5, false), {Columns}
                """, connection);
            lease.Parameters.Add(new NpgsqlParameter<string> { TypedValue = account });
            lease.Parameters.Add(new NpgsqlParameter<string> { TypedValue = holder });
            lease.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = length });
            lease.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = patience });
            lease.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = DatabaseCredentials.DoubtFor });
            await using NpgsqlDataReader row = await lease.ExecuteReaderAsync(given);
            return await row.ReadAsync(given) ? (row.GetInt64(0), row.GetBoolean(1), RowOf(row, account, 2)) : ((long, bool, CredentialsRow)?)null;
        }, stop);

    /// <summary>False when the fence is another's by now.</summary>
    internal Task<bool> RenewAsync(string account, long fence, TimeSpan length, CancellationToken stop) =>
        ChangeLeaseAsync("lease_until = now() + $3", account, fence, length, stop);

    internal Task<bool> ReleaseAsync(string account, long fence, CancellationToken stop) => ChangeLeaseAsync("holder = NULL", account, fence, null, stop);

    /// <summary>Writes a sign-in and gives the lease back; null when the fence is another's by now, and nothing is written.</summary>
    internal Task<CredentialsRow?> WriteAsync(string account, long fence, QwenCredentials credentials, CancellationToken stop)
    {
        SealedBytes sealedBytes = keys.Seal(CredentialsDocument.Merge(default, credentials), account);
        return database.RunInTransactionAsync(async (connection, given) =>
        {
            await using NpgsqlCommand write = new("""
                UPDATE qwen_proxy.credentials SET version = version + 1, changed = now(), key_id = $3, sealed = $4, signed_out = false, holder = NULL, taken_over = NULL
                WHERE account = $1 AND fence = $2 RETURNING version, changed
                """, connection);
            write.Parameters.Add(new NpgsqlParameter<string> { TypedValue = account });
            write.Parameters.Add(new NpgsqlParameter<long> { TypedValue = fence });
            write.Parameters.Add(new NpgsqlParameter<string> { TypedValue = sealedBytes.KeyId });
            write.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = sealedBytes.Bytes });
            CredentialsRow? written;
            await using (NpgsqlDataReader row = await write.ExecuteReaderAsync(given))
                written = await row.ReadAsync(given) ? new CredentialsRow(row.GetInt64(0), row.GetDateTime(1), credentials, null, IsSignedOut: false) : null;
            if (written is not null) await FleetNotices.PublishAsync(connection, Topic, given);
            return written;
        }, stop);
    }

    /// <summary>Ends a sign-in; its sealed bytes stay. False when the fence is another's by now.</summary>
    internal Task<bool> SignOutAsync(string account, long fence, CancellationToken stop) => database.RunInTransactionAsync(async (connection, given) =>
    {
        await using NpgsqlCommand end = new("""
            UPDATE qwen_proxy.credentials SET version = version + 1, changed = now(), signed_out = true, holder = NULL WHERE account = $1 AND fence = $2
            """, connection);
        end.Parameters.Add(new NpgsqlParameter<string> { TypedValue = account });
        end.Parameters.Add(new NpgsqlParameter<long> { TypedValue = fence });
        if (await end.ExecuteNonQueryAsync(given) == 0) return false;
        await FleetNotices.PublishAsync(connection, Topic, given);
        return true;
    }, stop);

    /// <summary>How long an expired lease of another is left alone: for some seconds after an outage its holder may still have something to write.</summary>
    internal TimeSpan PatienceWithOthers => database.ServesAgainSince is { } since && time.GetElapsedTime(since) < DatabaseCredentials.Settling ? DatabaseCredentials.Settling : TimeSpan.Zero;

    private Task<bool> ChangeLeaseAsync(string change, string account, long fence, TimeSpan? length, CancellationToken stop) => database.RunAsync(async (connection, given) =>
    {
        await using NpgsqlCommand command = new($"UPDATE qwen_proxy.credentials SET {change} WHERE account = $1 AND fence = $2 AND holder IS NOT NULL", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = account });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = fence });
        if (length is { } span) command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = span, NpgsqlDbType = NpgsqlDbType.Interval });
        return await command.ExecuteNonQueryAsync(given) > 0;
    }, stop);

    private CredentialsRow RowOf(NpgsqlDataReader row, string account, int first)
    {
        (long version, DateTime changed, bool isSignedOut) = (row.GetInt64(first), row.GetDateTime(first + 1), row.GetBoolean(first + 4));
        if (row.IsDBNull(first + 3)) return new CredentialsRow(version, changed, null, null, isSignedOut);
        byte[]? plain = keys.Open(new SealedBytes(row.GetString(first + 2), row.GetFieldValue<byte[]>(first + 3)), account, out string? fault);
        QwenCredentials? credentials = plain is null ? null : CredentialsDocument.Parse(plain, out fault);
        return new CredentialsRow(version, changed, credentials, fault, isSignedOut);
    }
}
