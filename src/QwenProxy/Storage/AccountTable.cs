using System.Buffers;
using System.Text;
using Npgsql;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Storage;

/// <summary>What replicas tell each other about accounts, and which of them may probe a broken one.</summary>
internal sealed class AccountTable(FleetDatabase database)
{
    public const string Topic = "accounts";

    /// <summary>Infinity for the database.</summary>
    private static readonly DateTime s_never = DateTime.SpecifyKind(DateTime.MaxValue, DateTimeKind.Utc);

    public Task<IReadOnlyList<SharedState>> ReadAsync(CancellationToken stop) => database.RunAsync(async (connection, given) =>
    {
        List<SharedState> states = [];
        await using NpgsqlCommand query = new("SELECT body FROM qwen_proxy.account_states WHERE until > now() - interval '1 minute'", connection);
        await using NpgsqlDataReader row = await query.ExecuteReaderAsync(given);
        while (await row.ReadAsync(given))
        {
            // One of another version that is not known here is passed over, as in a file.
            if (!PoolRecordJson.TryRead(Encoding.UTF8.GetBytes(row.GetString(0)), out PoolRecord record)) continue;
            states.AddRange(record.Cooldowns.Select(c => new SharedState(c, null)));
            states.AddRange(record.Breakers.Select(b => new SharedState(null, b)));
        }

        return (IReadOnlyList<SharedState>)states;
    }, stop);

    public Task TellAsync(SharedNews news, TimeSpan bound, CancellationToken stop) => database.RunInTransactionAsync(async (connection, given) =>
    {
        // First, as it also makes writers wait for each other: whoever commits last was told last.
        await FleetNotices.PublishAsync(connection, Topic, given);
        await using NpgsqlBatch batch = new(connection);
        if (news.TakenBack.Count > 0)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand("DELETE FROM qwen_proxy.account_states WHERE key = ANY($1)")
            {
                Parameters = { new NpgsqlParameter<string[]> { TypedValue = [.. news.TakenBack.Select(s => s.Key)] } },
            });
        }

        foreach (SharedState state in news.Found)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand("""
                INSERT INTO qwen_proxy.account_states (key, body, until) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET body = excluded.body, until = excluded.until
                """)
            {
                Parameters =
                {
                    new NpgsqlParameter<string> { TypedValue = state.Key }, new NpgsqlParameter<string> { TypedValue = BodyOf(state) },
                    new NpgsqlParameter<DateTime> { TypedValue = state.Until?.UtcDateTime ?? s_never },
                },
            });
        }

        batch.BatchCommands.Add(new NpgsqlBatchCommand("DELETE FROM qwen_proxy.account_states WHERE until < now() - interval '10 minutes'"));
        return await batch.ExecuteNonQueryAsync(given);
    }, stop, bound);

    /// <summary>True when nobody has probed this route within the interval: then the probe is this replica's.</summary>
    public Task<bool> ClaimProbeAsync(string replica, string account, string model, TimeSpan interval, TimeSpan bound, CancellationToken stop) => database.RunAsync(async (connection, given) =>
    {
        await using NpgsqlCommand claim = new("""
            INSERT INTO qwen_proxy.probes AS p (account, model, replica, until) VALUES ($1, $2, $3, now() + $4)
            ON CONFLICT (account, model) DO UPDATE SET replica = $3, until = now() + $4 WHERE p.until <= now() RETURNING 1
            """, connection);
        claim.Parameters.Add(new NpgsqlParameter<string> { TypedValue = account });
        claim.Parameters.Add(new NpgsqlParameter<string> { TypedValue = model });
        claim.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replica });
        claim.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = interval });
        return await claim.ExecuteScalarAsync(given) is not null;
    }, stop, bound);

    private static string BodyOf(SharedState state)
    {
        ArrayBufferWriter<byte> output = new();
        PoolRecordJson.Write(new PoolRecord(state.Breaker is { } breaker ? [breaker] : [], state.Cooldown is { } cooldown ? [cooldown] : []), output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
