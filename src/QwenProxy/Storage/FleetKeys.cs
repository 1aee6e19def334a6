using System.Buffers;
using System.Text;
using Npgsql;
using QwenProxy.Core.Clients;

namespace QwenProxy.Storage;

/// <summary>The client keys of a fleet: a row for each key, whose text is that of a key file with this one key. Only hashes are in it.</summary>
internal sealed class FleetKeys(FleetDatabase database)
{
    public const string Topic = "keys";

    public Task<KeyRing> ReadAsync(CancellationToken stop) => database.RunAsync(ReadAsync, stop);

    /// <summary>Reads, changes and writes, one command at a time in the whole fleet. A null from <paramref name="change"/> leaves the keys as they are.</summary>
    public Task ChangeAsync(Func<KeyRing, KeyRing?> change, CancellationToken stop) => database.RunInTransactionAsync(async (connection, given) =>
    {
        // The version's row is the lock: whoever counts it up waits for the one before.
        await FleetNotices.PublishAsync(connection, Topic, given);
        KeyRing ring = await ReadAsync(connection, given);
        if (change(ring) is not { } changed) return false;
        foreach (StoredKey key in changed.Keys)
        {
            await using NpgsqlCommand write = new("""
                INSERT INTO qwen_proxy.keys (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body WHERE keys.body <> excluded.body
                """, connection);
            write.Parameters.Add(new NpgsqlParameter<string> { TypedValue = key.Name });
            write.Parameters.Add(new NpgsqlParameter<string> { TypedValue = BodyOf(key) });
            await write.ExecuteNonQueryAsync(given);
        }

        return true;
    }, stop);

    private static async Task<KeyRing> ReadAsync(NpgsqlConnection connection, CancellationToken stop)
    {
        KeyRing ring = KeyRing.Empty;
        await using NpgsqlCommand query = new("SELECT name, body FROM qwen_proxy.keys ORDER BY number", connection);
        await using NpgsqlDataReader row = await query.ExecuteReaderAsync(stop);
        while (await row.ReadAsync(stop))
        {
            if (!KeyRingJson.TryRead(Encoding.UTF8.GetBytes(row.GetString(1)), out KeyRing one)) throw new IOException($"The client key {row.GetString(0)} in the database is damaged, or of a newer version.");
            foreach (StoredKey key in one.Keys) ring = ring.With(key);
        }

        return ring;
    }

    private static string BodyOf(StoredKey key)
    {
        ArrayBufferWriter<byte> json = new();
        KeyRingJson.Write(new KeyRing([key]), json);
        return Encoding.UTF8.GetString(json.WrittenSpan);
    }
}
