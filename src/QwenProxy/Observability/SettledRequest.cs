using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Repair;

namespace QwenProxy.Observability;

/// <summary>
/// All that is told of a request after its end: the log line and <c>/admin/requests</c> are both written from it. Like them it has no place for
/// text of a prompt or an answer, or for a key.
/// </summary>
/// <param name="Entry">What the ledger keeps of it.</param>
/// <param name="Path">Without the query.</param>
/// <param name="Address">The client's address; <c>-</c> when the connection has none.</param>
/// <param name="Agent">The client's user agent, shortened.</param>
internal sealed record SettledRequest(LedgerEntry Entry, string Method, string Path, string Address, string Agent, bool Stream)
{
    /// <summary>Upstream spoke the client's dialect and was passed through.</summary>
    public bool Native { get; init; }

    public long RequestBytes { get; init; }

    public long ResponseBytes { get; init; }

    public long UpstreamBytes { get; init; }

    /// <summary>What repair changed, by rule; decisions that changed nothing are not among them.</summary>
    public ImmutableArray<RepairCount> Repairs { get; init; } = [];

    /// <summary>What the client was told, shortened; null for a complete answer.</summary>
    public string? Reason { get; init; }

    public double? FirstByteMs => Entry.FirstByte is { } first ? Math.Round(first.TotalMilliseconds, 1) : null;

    public double DurationMs => Math.Round(Entry.Duration.TotalMilliseconds, 1);
}

/// <summary>How often one rule changed the stream in one way.</summary>
internal readonly record struct RepairCount(string Stage, string Rule, RepairAction Action, int Count)
{
    /// <summary>What changed something or should have; decisions that changed nothing are not among them.</summary>
    public static ImmutableArray<RepairCount> Of(RepairReport report) => report.Counts.Count == 0 ? []
        : [.. report.Counts.Where(c => RepairReport.Matters(c.Key.Action)).Select(c => new RepairCount(c.Key.Stage, c.Key.Rule, c.Key.Action, c.Value))];

    /// <summary>As a JSON array; null for none.</summary>
    public static string? Write(ImmutableArray<RepairCount> counts)
    {
        if (counts.IsEmpty) return null;
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) Write(json, counts);
        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    public static void Write(Utf8JsonWriter json, ImmutableArray<RepairCount> counts)
    {
        json.WriteStartArray();
        foreach (RepairCount repair in counts)
        {
            json.WriteStartObject();
            json.WriteString("stage", repair.Stage);
            json.WriteString("rule", repair.Rule);
            json.WriteString("action", repair.Action.ToString().ToLowerInvariant());
            json.WriteNumber("count", repair.Count);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
