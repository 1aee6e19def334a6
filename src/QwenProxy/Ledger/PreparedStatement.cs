using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace QwenProxy.Ledger;

/// <summary>
/// A statement that is compiled once and run for every entry, its values by their place. The data provider's commands look each parameter up by its name at
/// every run and forget what they compiled with the command: that was half of what a ledger entry cost.
/// </summary>
internal sealed class PreparedStatement : IDisposable
{
    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _statement;
    private int _bound;

    public PreparedStatement(SqliteConnection connection, string sql)
    {
        _database = connection.Handle!;
        Check(raw.sqlite3_prepare_v2(_database, sql, out _statement));
    }

    /// <summary>The next value in the statement's order.</summary>
    public PreparedStatement Add(long? value)
    {
        Check(value is { } number ? raw.sqlite3_bind_int64(_statement, ++_bound, number) : raw.sqlite3_bind_null(_statement, ++_bound));
        return this;
    }

    public PreparedStatement Add(double? value)
    {
        Check(value is { } number ? raw.sqlite3_bind_double(_statement, ++_bound, number) : raw.sqlite3_bind_null(_statement, ++_bound));
        return this;
    }

    public PreparedStatement Add(string? value)
    {
        Check(value is null ? raw.sqlite3_bind_null(_statement, ++_bound) : raw.sqlite3_bind_text(_statement, ++_bound, value));
        return this;
    }

    /// <summary>Runs it with the values that were added since the last run; what it selects is not read.</summary>
    public void Run()
    {
        _bound = 0;
        int result;
        while ((result = raw.sqlite3_step(_statement)) == raw.SQLITE_ROW) continue;
        // Resetting tells the same fault again; it is told by the step.
        _ = raw.sqlite3_reset(_statement);
        if (result != raw.SQLITE_DONE) Check(result);
    }

    public void Dispose() => _statement.Dispose();

    private void Check(int result) => SqliteException.ThrowExceptionForRC(result, _database);
}
