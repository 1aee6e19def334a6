using Npgsql;
using QwenProxy.Core.Fleet;

namespace QwenProxy.Storage;

/// <param name="Key">Whose and which limit, such as <c>client:alice:tokens/20785</c> or <c>account:plan</c>.</param>
/// <param name="IsBudget">See <see cref="LimitRules"/>.</param>
/// <param name="Question">What the replica asks.</param>
/// <param name="Take">Gets the answer.</param>
internal sealed record LimitAsk(string Key, bool IsBudget, LimitQuestion Question, Action<LimitAnswer> Take);

/// <summary>
/// The limits that replicas divide, one row for each, and each replica's part of it. The rules are <see cref="LimitRules"/>; here they are applied to rows
/// that are locked in the order of their keys, any number of limits in two exchanges with the server.
/// </summary>
internal sealed class LimitTable(FleetDatabase database)
{
    public const string Topic = "limits";

    /// <summary>How long the rows of a budget stay after its window: long enough for whoever comes back late, and for people to look at.</summary>
    private const string KeptFor = "62 days";

    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    /// <summary>Asks all of one replica's questions at once. When it throws, some may have been answered: the next questions say what is kept.</summary>
    public async Task AskAsync(string replica, IReadOnlyList<LimitAsk> asks, int live, TimeSpan bound, CancellationToken stop)
    {
        Dictionary<string, LimitAsk> byKey = asks.ToDictionary(a => a.Key, StringComparer.Ordinal);
        Dictionary<string, LimitAnswer> answers = await database.RunInTransactionAsync(async (connection, given) =>
        {
            await MakeRowsAsync(connection, asks, given);
            Locked rows = await LockAsync(connection, replica, [.. byKey.Keys], given);
            Dictionary<string, LimitAnswer> answered = [];
            List<Row> changed = [];
            bool someoneGoesWithout = false;
            foreach ((string key, LimitBook book) in rows.Books)
            {
                LimitAsk ask = byKey[key];
                LimitPart part = rows.Parts.GetValueOrDefault(key, LimitPart.None);
                (LimitBook next, LimitPart own, LimitAnswer answer) = ask.IsBudget
                    ? LimitRules.AskBudget(book, part, ask.Question, live, rows.Now)
                    : LimitRules.AskShare(book, part, ask.Question, live, rows.Now);
                answered[key] = answer;
                // What stands unchanged is not written: most questions are about clients that do nothing.
                if (next == book && own with { Number = part.Number } == part) continue;
                changed.Add(new Row(key, next, own));
                someoneGoesWithout |= next.Hungry == replica && book.HungryUntil <= rows.Now;
            }

            if (changed.Count > 0) await WriteAsync(connection, replica, changed, given);
            if (someoneGoesWithout) await FleetNotices.PublishAsync(connection, Topic, given);
            return answered;
        }, stop, bound);
        foreach ((string key, LimitAsk ask) in byKey)
        {
            if (answers.TryGetValue(key, out LimitAnswer? answer)) ask.Take(answer);
            else _known.Remove(key);
        }
    }

    /// <summary>Gives up what a replica held that has not been heard of, within the transaction that takes it from the list.</summary>
    public static async Task GiveUpAsync(NpgsqlConnection connection, string replica, CancellationToken stop)
    {
        string[] keys;
        await using (NpgsqlCommand query = new("SELECT key FROM qwen_proxy.limit_parts WHERE replica = $1 AND NOT is_lost", connection))
        {
            query.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replica });
            keys = await ReadAsync(query, row => row.GetString(0), stop);
        }

        Locked rows = await LockAsync(connection, replica, keys, stop);
        List<Row> changed = [];
        foreach ((string key, LimitBook book) in rows.Books)
        {
            if (!rows.Parts.TryGetValue(key, out LimitPart? part)) continue;
            (LimitBook next, LimitPart own) = LimitRules.GiveUp(book, part, rows.Budgets.Contains(key));
            changed.Add(new Row(key, next, own));
        }

        if (changed.Count > 0) await WriteAsync(connection, replica, changed, stop);
        await using NpgsqlCommand old = new($"""
            DELETE FROM qwen_proxy.limit_parts p USING qwen_proxy.limits l WHERE p.key = l.key AND (NOT l.is_budget AND p.replica = $1 OR l.changed < now() - interval '{KeptFor}');
            """, connection);
        old.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replica });
        await old.ExecuteNonQueryAsync(stop);
        await using NpgsqlCommand ended = new($"DELETE FROM qwen_proxy.limits WHERE is_budget AND changed < now() - interval '{KeptFor}'", connection);
        await ended.ExecuteNonQueryAsync(stop);
    }

    private async Task MakeRowsAsync(NpgsqlConnection connection, IReadOnlyList<LimitAsk> asks, CancellationToken stop)
    {
        LimitAsk[] unknown = [.. asks.Where(a => !_known.Contains(a.Key))];
        if (unknown.Length == 0) return;
        await using NpgsqlCommand make = new("INSERT INTO qwen_proxy.limits (key, is_budget) SELECT * FROM unnest($1, $2) ORDER BY 1 ON CONFLICT DO NOTHING", connection);
        make.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. unknown.Select(a => a.Key)] });
        make.Parameters.Add(new NpgsqlParameter<bool[]> { TypedValue = [.. unknown.Select(a => a.IsBudget)] });
        await make.ExecuteNonQueryAsync(stop);
        foreach (LimitAsk ask in unknown) _known.Add(ask.Key);
    }

    /// <summary>The parts are read by a second statement, after all locks are held: what another transaction wrote meanwhile is seen.</summary>
    private static async Task<Locked> LockAsync(NpgsqlConnection connection, string replica, string[] keys, CancellationToken stop)
    {
        Locked rows = new();
        await using NpgsqlBatch batch = new(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT key, is_budget, used, held, lost, hungry, hungry_until, clock_timestamp() FROM qwen_proxy.limits WHERE key = ANY($1) ORDER BY key FOR UPDATE")
        {
            Parameters = { new NpgsqlParameter<string[]> { TypedValue = keys } },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT key, amount, reported, number, is_lost FROM qwen_proxy.limit_parts WHERE replica = $1 AND key = ANY($2)")
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = replica }, new NpgsqlParameter<string[]> { TypedValue = keys } },
        });
        await using NpgsqlDataReader row = await batch.ExecuteReaderAsync(stop);
        while (await row.ReadAsync(stop))
        {
            rows.Books[row.GetString(0)] = new LimitBook(row.GetInt64(2), row.GetInt64(3), row.GetInt64(4))
            {
                Hungry = row.IsDBNull(5) ? null : row.GetString(5),
                HungryUntil = row.IsDBNull(6) ? default : row.GetFieldValue<DateTimeOffset>(6),
            };
            if (row.GetBoolean(1)) rows.Budgets.Add(row.GetString(0));
            rows.Now = row.GetFieldValue<DateTimeOffset>(7);
        }

        await row.NextResultAsync(stop);
        while (await row.ReadAsync(stop)) rows.Parts[row.GetString(0)] = new LimitPart(row.GetInt64(1), row.GetInt64(2), row.GetInt64(3), row.GetBoolean(4));
        return rows;
    }

    private static async Task WriteAsync(NpgsqlConnection connection, string replica, List<Row> rows, CancellationToken stop)
    {
        await using NpgsqlBatch batch = new(connection);
        NpgsqlParameter<string[]> Keys() => new() { TypedValue = [.. rows.Select(r => r.Key)] };
        NpgsqlParameter<long[]> Numbers(Func<Row, long> of) => new() { TypedValue = [.. rows.Select(of)] };
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            UPDATE qwen_proxy.limits l SET used = n.used, held = n.held, lost = n.lost, hungry = n.hungry, hungry_until = n.hungry_until, changed = now()
            FROM unnest($1, $2, $3, $4, $5, $6) AS n (key, used, held, lost, hungry, hungry_until) WHERE l.key = n.key
            """)
        {
            Parameters =
            {
                Keys(), Numbers(r => r.Book.Used), Numbers(r => r.Book.Held), Numbers(r => r.Book.Lost),
                new NpgsqlParameter<string?[]> { TypedValue = [.. rows.Select(r => r.Book.Hungry)] },
                new NpgsqlParameter<DateTime[]> { TypedValue = [.. rows.Select(r => r.Book.HungryUntil.UtcDateTime)] },
            },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            INSERT INTO qwen_proxy.limit_parts (replica, key, amount, reported, number, is_lost)
            SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6) AS n (key, amount, reported, number, is_lost)
            ON CONFLICT (key, replica) DO UPDATE SET amount = excluded.amount, reported = excluded.reported, number = excluded.number, is_lost = excluded.is_lost
            """)
        {
            Parameters =
            {
                new NpgsqlParameter<string> { TypedValue = replica }, Keys(), Numbers(r => r.Part.Amount), Numbers(r => r.Part.Reported), Numbers(r => r.Part.Number),
                new NpgsqlParameter<bool[]> { TypedValue = [.. rows.Select(r => r.Part.IsLost)] },
            },
        });
        await batch.ExecuteNonQueryAsync(stop);
    }

    private static async Task<T[]> ReadAsync<T>(NpgsqlCommand query, Func<NpgsqlDataReader, T> read, CancellationToken stop)
    {
        List<T> found = [];
        await using NpgsqlDataReader row = await query.ExecuteReaderAsync(stop);
        while (await row.ReadAsync(stop)) found.Add(read(row));
        return [.. found];
    }

    private sealed record Row(string Key, LimitBook Book, LimitPart Part);

    private sealed class Locked
    {
        public SortedDictionary<string, LimitBook> Books { get; } = new(StringComparer.Ordinal);

        public HashSet<string> Budgets { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, LimitPart> Parts { get; } = new(StringComparer.Ordinal);

        /// <summary>The server's time.</summary>
        public DateTimeOffset Now { get; set; }
    }
}
