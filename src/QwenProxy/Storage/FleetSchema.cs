using Npgsql;

namespace QwenProxy.Storage;

/// <summary>One step of the tables' history.</summary>
/// <param name="ServesFrom">
/// The oldest version of these tables whose programs may go on beside this one. A step adds, and what it makes needless is taken away by the step after
/// it, so that replicas of two versions that follow each other share one database while a fleet is replaced one by one.
/// </param>
/// <param name="Sql">Statements that make version N of version N - 1.</param>
internal sealed record Migration(int ServesFrom, string Sql);

/// <summary>
/// The tables of a fleet and their history. They live in a schema of their own, and every name is written with it: a search path would be a parameter of
/// the session, which poolers between here and the server do not keep. A step that a release has made is never changed again.
/// </summary>
internal static class FleetSchema
{
    /// <summary>Taken while tables are made; any number that nobody else in the database uses.</summary>
    private const long Lock = 0x7177656e70726f78;

    /// <summary>Versions of what others may have changed; see <see cref="FleetNotices"/>.</summary>
    private const string Topics = """
        CREATE TABLE qwen_proxy.topics (topic text PRIMARY KEY, version bigint NOT NULL);
        """;

    /// <summary>
    /// Sign-ins, sealed. <c>version</c> counts their changes; <c>fence</c>, <c>holder</c> and <c>lease_until</c> say whose turn it is to change one;
    /// <c>taken_over</c> is when the turn was last taken from a replica that had not ended it, until tokens are written.
    /// </summary>
    private const string Credentials = """
        CREATE TABLE qwen_proxy.credentials (
            account text PRIMARY KEY, version bigint NOT NULL DEFAULT 0, changed timestamptz NOT NULL DEFAULT now(),
            key_id text, sealed bytea, signed_out boolean NOT NULL DEFAULT false,
            fence bigint NOT NULL, holder text, lease_until timestamptz NOT NULL, taken_over timestamptz);
        """;

    /// <summary>Client keys, in the order in which they were made.</summary>
    private const string Keys = """
        CREATE TABLE qwen_proxy.keys (name text PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY, body text NOT NULL);
        """;

    /// <summary>
    /// Settled requests, a part for each month; columns mean what those of a ledger file mean. The steps are those of the latency scale, which only the
    /// program knows. No key beside the one that makes a request unique and no sums: each would be written with every request.
    /// </summary>
    private const string Requests = """
        CREATE TABLE qwen_proxy.requests (
            time bigint NOT NULL, id text NOT NULL, dialect text NOT NULL, client text, asked text NOT NULL, served text, account text,
            input bigint, output bigint, cached bigint, cache_written bigint, reasoning bigint,
            attempts integer NOT NULL, resumes integer NOT NULL, status integer NOT NULL, ending text NOT NULL, duration_ms double precision NOT NULL, ttfb_ms double precision,
            source text, code text, tried text, cost_nano bigint, fix text, steps text, repairs text, repaired integer NOT NULL,
            offset_minutes integer NOT NULL, first_step integer, whole_step integer, speed_step integer,
            PRIMARY KEY (time, id)) PARTITION BY RANGE (time);
        CREATE INDEX requests_id ON qwen_proxy.requests USING hash (id);
        """;

    /// <summary>Who is there, the limits that are divided among them, and what they tell each other about accounts.</summary>
    private const string Members = """
        CREATE TABLE qwen_proxy.replicas (id text PRIMARY KEY, name text NOT NULL, address text NOT NULL, version text NOT NULL, started timestamptz NOT NULL, seen timestamptz NOT NULL, report text NOT NULL);
        CREATE TABLE qwen_proxy.limits (
            key text PRIMARY KEY, is_budget boolean NOT NULL, used bigint NOT NULL DEFAULT 0, held bigint NOT NULL DEFAULT 0, lost bigint NOT NULL DEFAULT 0,
            hungry text, hungry_until timestamptz, changed timestamptz NOT NULL DEFAULT now());
        CREATE TABLE qwen_proxy.limit_parts (
            key text NOT NULL, replica text NOT NULL, amount bigint NOT NULL, reported bigint NOT NULL, number bigint NOT NULL, is_lost boolean NOT NULL, PRIMARY KEY (key, replica));
        CREATE INDEX limit_parts_replica ON qwen_proxy.limit_parts (replica);
        CREATE TABLE qwen_proxy.account_states (key text PRIMARY KEY, body text NOT NULL, until timestamptz NOT NULL);
        CREATE TABLE qwen_proxy.probes (account text NOT NULL, model text NOT NULL, replica text NOT NULL, until timestamptz NOT NULL, PRIMARY KEY (account, model));
        """;

    /// <summary>Each part of the program has its tables in a text of its own; a step is those that arrived with one release.</summary>
    public static IReadOnlyList<Migration> Migrations { get; } = [new Migration(1, Topics + Credentials + Keys + Requests + Members)];

    /// <summary>
    /// Makes what is missing, whole or not at all; of several replicas that begin together one does it. Throws <see cref="NewerDatabaseException"/> when the
    /// tables have gone further than programs of this version are served.
    /// </summary>
    public static async Task BringForwardAsync(NpgsqlConnection connection, string name, IReadOnlyList<Migration> migrations, CancellationToken stop)
    {
        if (await IsCurrentAsync(connection, name, migrations, stop)) return;
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(stop);
        await ExecuteAsync(connection, $"SELECT pg_advisory_xact_lock({Lock})", stop);
        // Another replica may have done it while this one waited.
        if (!await IsCurrentAsync(connection, name, migrations, stop))
        {
            await ExecuteAsync(connection, """
                CREATE SCHEMA IF NOT EXISTS qwen_proxy;
                CREATE TABLE IF NOT EXISTS qwen_proxy.migrations (version integer PRIMARY KEY, serves_from integer NOT NULL, made timestamptz NOT NULL DEFAULT now());
                """, stop);
            for (int version = await VersionAsync(connection, stop) + 1; version <= migrations.Count; version++)
            {
                Migration step = migrations[version - 1];
                await ExecuteAsync(connection, step.Sql, stop);
                await ExecuteAsync(connection, $"INSERT INTO qwen_proxy.migrations (version, serves_from) VALUES ({version}, {step.ServesFrom})", stop);
            }
        }

        await transaction.CommitAsync(stop);
    }

    private static async Task<bool> IsCurrentAsync(NpgsqlConnection connection, string name, IReadOnlyList<Migration> migrations, CancellationToken stop)
    {
        await using (NpgsqlCommand exists = new("SELECT to_regclass('qwen_proxy.migrations') IS NOT NULL", connection))
        {
            if (await exists.ExecuteScalarAsync(stop) is not true) return false;
        }

        int version = await VersionAsync(connection, stop);
        if (version <= migrations.Count) return version == migrations.Count;
        await using NpgsqlCommand serves = new("SELECT serves_from FROM qwen_proxy.migrations ORDER BY version DESC LIMIT 1", connection);
        if (await serves.ExecuteScalarAsync(stop) is int from && from <= migrations.Count) return true;
        throw new NewerDatabaseException(name, version, migrations.Count);
    }

    private static async Task<int> VersionAsync(NpgsqlConnection connection, CancellationToken stop)
    {
        await using NpgsqlCommand query = new("SELECT COALESCE(MAX(version), 0) FROM qwen_proxy.migrations", connection);
        return (int)(await query.ExecuteScalarAsync(stop))!;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken stop)
    {
        await using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync(stop);
    }
}
