using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Clients;
using QwenProxy.Ledger;
using QwenProxy.Observability;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>What each client takes, by its name. Clients without limits are counted too, since a limit may be set while they run.</summary>
internal sealed partial class ClientMeters
{
    private readonly ConcurrentDictionary<string, ClientMeter> _meters = new(StringComparer.Ordinal);

    private volatile bool _isStarved;

    /// <summary>A request was refused for a limit, of which another replica may hold a part that it has no use for.</summary>
    public void NoteStarved() => _isStarved = true;

    /// <summary>Whether that happened since the last call.</summary>
    public bool TakeStarved()
    {
        bool was = _isStarved;
        _isStarved = false;
        return was;
    }

    /// <summary>Whether others can be asked for parts of limits.</summary>
    public void Reach(bool isThere)
    {
        foreach (ClientMeter meter in _meters.Values) meter.Reach(isThere);
    }

    public bool Has(string client) => _meters.ContainsKey(client);

    public ClientMeter Of(string client) => _meters.GetOrAdd(client, static name => new ClientMeter(name));

    /// <summary>
    /// Takes over what earlier runs wrote down of this day and month. Before the first request is served: what settles later would be counted twice. A
    /// ledger that cannot be read is told and passed over, as one that cannot be written is.
    /// </summary>
    public void Restore(string dataFolder, Instruments instruments)
    {
        string path = Path.Combine(dataFolder, LedgerFile.Name);
        DateTimeOffset now = instruments.Time.GetLocalNow();
        try
        {
            foreach ((string client, ClientTake taken) in LedgerClients.Taken(path, now.Date)) Of(client).Restore(taken.Tokens, 0, now);
            foreach ((string client, ClientTake taken) in LedgerClients.Taken(path, now.Date.AddDays(1 - now.Day))) Of(client).Restore(0, taken.Dollars, now);
        }
        catch (Exception failure) when (failure is SqliteException or NewerLedgerException or IOException or UnauthorizedAccessException)
        {
            LogNotRestored(instruments.Logger, path, failure.Message);
        }
    }

    [LoggerMessage(EventId = 75, Level = LogLevel.Warning, Message = "The ledger {path} cannot be read, so the budgets of clients begin at zero: {problem}")]
    private static partial void LogNotRestored(ILogger logger, string path, string problem);
}
