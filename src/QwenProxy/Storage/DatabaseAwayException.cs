using System.Net.Sockets;
using Npgsql;

namespace QwenProxy.Storage;

/// <summary>The database cannot be asked now. It passes by itself or by its administrator's doing; nothing is wrong with what was asked.</summary>
internal sealed class DatabaseAwayException(string database, string problem, Exception? cause = null)
    : IOException($"The database {database} does not serve: {problem}.", cause)
{
    /// <summary>Without a full stop.</summary>
    public string Problem => problem;

    /// <summary>
    /// Null for a fault in what was asked (a constraint, a statement), which a second try would meet again. The driver's transport errors and the server's
    /// words for "not now" (classes 08, 28, 3D, 53, 57 and 58, and a server that only reads) are of the database.
    /// </summary>
    public static string? ProblemOf(Exception failure) => failure switch
    {
        PostgresException { SqlState: ['0', '8', ..] or ['2', '8', ..] or ['3', 'D', ..] or ['5', '3' or '7' or '8', ..] or "25006" } said => said.MessageText.TrimEnd('.'),
        PostgresException => null,
        NpgsqlException { InnerException: { } inner } broken => $"{broken.Message.TrimEnd('.')}: {inner.Message.TrimEnd('.')}",
        NpgsqlException or SocketException or IOException or TimeoutException => failure.Message.TrimEnd('.'),
        _ => null,
    };
}

/// <summary>A database that a newer version of the program has changed beyond what this one understands.</summary>
internal sealed class NewerDatabaseException(string database, int version, int known) : InvalidOperationException(
    $"The database {database} was brought forward by a newer version of this program (its schema is {version}, this program knows {known} and is no longer served). "
    + "Update this replica, or give it another database.");
