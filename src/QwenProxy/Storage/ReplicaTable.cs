using Npgsql;

namespace QwenProxy.Storage;

/// <summary>The replicas of a fleet: each writes its row every few seconds, and one that is silent for too long is given up by whoever sees it first.</summary>
internal sealed class ReplicaTable(FleetDatabase database)
{
    /// <summary>After this silence a replica counts as gone. One that only stood still comes back by its next row.</summary>
    public static readonly TimeSpan GivenUpAfter = TimeSpan.FromSeconds(15);

    /// <summary>Says that this replica is there, and reads who else is.</summary>
    public Task<IReadOnlyList<Replica>> BeatAsync(Replica self, TimeSpan bound, CancellationToken stop) => database.RunAsync(async (connection, given) =>
    {
        await using NpgsqlBatch batch = new(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            INSERT INTO qwen_proxy.replicas (id, name, address, version, started, seen, report) VALUES ($1, $2, $3, $4, $5, now(), $6)
            ON CONFLICT (id) DO UPDATE SET address = excluded.address, seen = now(), report = excluded.report
            """)
        {
            Parameters =
            {
                new NpgsqlParameter<string> { TypedValue = self.Id }, new NpgsqlParameter<string> { TypedValue = self.Name }, new NpgsqlParameter<string> { TypedValue = self.Address },
                new NpgsqlParameter<string> { TypedValue = self.Version }, new NpgsqlParameter<DateTime> { TypedValue = self.Started.UtcDateTime }, new NpgsqlParameter<string> { TypedValue = self.Report.ToJson() },
            },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT id, name, address, version, started, EXTRACT(EPOCH FROM clock_timestamp() - seen)::float8, report FROM qwen_proxy.replicas ORDER BY started, id"));
        List<Replica> replicas = [];
        await using NpgsqlDataReader row = await batch.ExecuteReaderAsync(given);
        while (await row.ReadAsync(given))
        {
            replicas.Add(new Replica(row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetFieldValue<DateTimeOffset>(4))
            {
                Silent = TimeSpan.FromSeconds(Math.Max(0, row.GetDouble(5))),
                Report = ReplicaReport.Parse(row.GetString(6)),
            });
        }

        return (IReadOnlyList<Replica>)replicas;
    }, stop, bound);

    /// <summary>Gives up one that is silent, unless another replica is at it.</summary>
    public Task GiveUpAsync(string id, TimeSpan bound, CancellationToken stop) => RemoveAsync(id, GivenUpAfter, bound, stop);

    /// <summary>This replica ends. What it held has been given back; what could not be is treated like that of one that died.</summary>
    public Task LeaveAsync(string id, TimeSpan bound, CancellationToken stop) => RemoveAsync(id, TimeSpan.Zero, bound, stop);

    private Task<bool> RemoveAsync(string id, TimeSpan silent, TimeSpan bound, CancellationToken stop) => database.RunInTransactionAsync(async (connection, given) =>
    {
        await using NpgsqlCommand take = new("SELECT 1 FROM qwen_proxy.replicas WHERE id = $1 AND seen <= now() - $2 FOR UPDATE SKIP LOCKED", connection);
        take.Parameters.Add(new NpgsqlParameter<string> { TypedValue = id });
        take.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = silent });
        if (await take.ExecuteScalarAsync(given) is null) return false;
        await LimitTable.GiveUpAsync(connection, id, given);
        await using NpgsqlCommand remove = new("DELETE FROM qwen_proxy.replicas WHERE id = $1", connection);
        remove.Parameters.Add(new NpgsqlParameter<string> { TypedValue = id });
        await remove.ExecuteNonQueryAsync(given);
        return true;
    }, stop, bound);
}
