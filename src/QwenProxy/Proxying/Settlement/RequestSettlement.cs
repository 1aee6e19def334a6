using System.Collections.Immutable;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Resilience;
using QwenProxy.Ledger;
using QwenProxy.Observability;

namespace QwenProxy.Proxying.Settlement;

/// <summary>Settle: the last phase, reached once by every request. One log line, the metrics, the ledger, the list of recent requests.</summary>
internal sealed class RequestSettlement(RequestBook book, LedgerWriter? ledger, Instruments instruments)
{
    private const int MaxReasonLength = 600;

    /// <summary>Counts a request in, which <see cref="Settle"/> counts out.</summary>
    public void Begin(Exchange exchange)
    {
        instruments.Metrics.RequestBegan();
        book.Begin(exchange);
    }

    public void Settle(Exchange exchange, string dialect)
    {
        Book(exchange);
        ImmutableArray<RepairCount> repairs = RepairCount.Of(exchange.Repairs);
        LedgerEntry entry = EntryOf(exchange, dialect, repairs);
        SettledRequest settled = SettledOf(exchange, entry, repairs);
        string provider = exchange.Snapshot.Accounts.FirstOrDefault(a => a.Name == entry.Account)?.Profile.Name ?? GenAi.OwnProvider;
        instruments.Metrics.RequestEnded(settled, provider);
        instruments.Metrics.Repaired(exchange.Repairs);
        RequestTracing.EndRequest(exchange.Span, settled, provider);
        ledger?.Add(entry);
        LogRepairs(instruments.Logger, exchange);
        book.End(exchange, settled);
        RequestLog.Request(instruments.Logger, settled);
        if (entry is { Tried: { } tried, End: not "complete" }) RequestLog.Tried(instruments.Logger, exchange.RequestId, tried);
    }

    /// <summary>Books what the request took to its client, once: what upstream counted, or what was estimated where it answered and told nothing.</summary>
    public static void Book(Exchange exchange)
    {
        if (exchange.Admission is not { } admission) return;
        ClientTake? taken = exchange.FirstByteAt == 0 ? default(ClientTake) : null;
        if (TokenCounts.Read(exchange.Usage.Span) is { } tokens) taken = new ClientTake(tokens.Input + tokens.Output, UsageTable.CostOf(exchange.ServedModel, tokens) ?? 0);
        admission.Settle(taken, exchange.Time.GetLocalNow());
    }

    private static LedgerEntry EntryOf(Exchange exchange, string dialect, ImmutableArray<RepairCount> repairs)
    {
        HttpResponse response = exchange.Http.Response;
        ProxyError? error = exchange.Error;
        TokenCounts? tokens = TokenCounts.Read(exchange.Usage.Span);
        return new LedgerEntry
        {
            Time = exchange.Time.GetUtcNow(),
            RequestId = exchange.RequestId,
            Dialect = dialect,
            Client = exchange.ClientName,
            AskedModel = PrintableText.Of(exchange.AskedModel),
            ServedModel = exchange.ServedModel is { } served ? PrintableText.Of(served) : null,
            Account = exchange.Account,
            Tokens = tokens,
            Cost = UsageTable.CostOf(exchange.ServedModel, tokens),
            Attempts = exchange.Attempts,
            Resumes = exchange.Resumes,
            Status = error is { Kind: FaultKind.ClientGone } ? 499 : response.HasStarted || error is null ? response.StatusCode : error.Status,
            End = error is null ? "complete" : ErrorSummary.Snake(error.Kind),
            Source = error?.Source.ToString().ToLowerInvariant(),
            Code = error?.Code is { } code ? PrintableText.Of(code) : null,
            Tried = ErrorSummary.InShort(exchange.Failures),
            Fix = error?.Fix is { } fix ? PrintableText.Of(fix, MaxReasonLength) : null,
            Steps = RequestStep.Write(exchange.Steps),
            Repairs = RepairCount.Write(repairs),
            Repaired = repairs.Sum(r => r.Action == RepairAction.Passed ? 0 : r.Count),
            Duration = exchange.Time.GetElapsedTime(exchange.StartedAt),
            FirstByte = exchange.FirstByteAt == 0 ? null : exchange.Time.GetElapsedTime(exchange.StartedAt, exchange.FirstByteAt),
        };
    }

    private static SettledRequest SettledOf(Exchange exchange, LedgerEntry entry, ImmutableArray<RepairCount> repairs)
    {
        HttpContext http = exchange.Http;
        string address = http.Connection.RemoteIpAddress?.ToString() ?? "-";
        return new SettledRequest(entry, http.Request.Method, exchange.Path, address, PrintableText.Of(http.Request.Headers.UserAgent.ToString()), exchange.IsStreaming)
        {
            Native = exchange.IsNative,
            Reason = exchange.Error is { } error ? PrintableText.Of(error.Message, MaxReasonLength) : null,
            RequestBytes = exchange.Body.Length,
            ResponseBytes = exchange.Output.Written,
            UpstreamBytes = exchange.UpstreamBytes,
            Repairs = repairs,
        };
    }

    private static void LogRepairs(ILogger logger, Exchange exchange)
    {
        if (exchange.Repairs.Counts.Count == 0) return;
        foreach ((string stage, string rule, RepairAction action) in exchange.Repairs.Counts.Keys)
        {
            if (action == RepairAction.Passed) RequestLog.Unmended(logger, exchange.RequestId, stage, rule);
        }

        if (!logger.IsEnabled(LogLevel.Debug)) return;
        foreach (RepairDecision d in exchange.Repairs.Decisions)
        {
            RequestLog.Repair(logger, exchange.RequestId, d.Stage, d.Rule, d.Action, d.Channel, d.Event, d.Bytes, d.Detail);
        }
    }
}
