using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Repair;
using QwenProxy.Hosting;
using QwenProxy.Observability;

namespace QwenProxy.Proxying;

/// <summary>Settle: the last phase, reached once by every request. One log line, the metrics, the ledger.</summary>
internal static class Settlement
{
    public static void Settle(ProxyRuntime runtime, Exchange exchange, string dialect)
    {
        HttpContext http = exchange.Http;
        ProxyError? error = exchange.Error;
        string end = error is null ? "complete" : Snake(error.Kind);
        int status = error is { Kind: FaultKind.ClientGone } ? 499 : http.Response.HasStarted || error is null ? http.Response.StatusCode : error.Status;
        TimeSpan duration = runtime.Time.GetElapsedTime(exchange.StartedAt);
        TimeSpan? firstByte = exchange.FirstByteAt == 0 ? null : runtime.Time.GetElapsedTime(exchange.StartedAt, exchange.FirstByteAt);
        (long? input, long? output) = ReadUsage(exchange.Usage.Span);
        string model = exchange.ServedModel ?? (exchange.Account is null ? "" : exchange.AskedModel);
        runtime.Metrics.RequestEnded(dialect, model, status, end, duration, firstByte);
        runtime.Metrics.Repaired(exchange.Repairs);
        if (input is not null && output is not null) runtime.Metrics.TokensUsed(model, input.Value, output.Value);
        LogRepairs(runtime.Logger, exchange);
        if (!runtime.Logger.IsEnabled(LogLevel.Information)) return;
        RequestLog.Request(
            runtime.Logger,
            http.Request.Method,
            Printable(http.Request.Path.Value ?? "/"),
            status,
            end,
            Printable(exchange.AskedModel),
            exchange.ServedModel,
            exchange.Account,
            exchange.ClientName,
            http.Connection.RemoteIpAddress?.ToString() ?? "-",
            Printable(http.Request.Headers.UserAgent.ToString()),
            exchange.IsStreaming,
            exchange.Attempts,
            exchange.Resumes,
            exchange.Body.Length,
            exchange.Output.Written,
            exchange.UpstreamBytes,
            firstByte is { } first ? Math.Round(first.TotalMilliseconds, 1) : null,
            Math.Round(duration.TotalMilliseconds, 1),
            input,
            output,
            exchange.RequestId);
    }

    /// <summary>A client's words in a log line: short, and without characters that a terminal would obey.</summary>
    internal static string Printable(string text)
    {
        const int maxLength = 120;
        if (text.Length > maxLength) text = text[..maxLength];
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)) : text;
    }

    /// <summary>Input and output tokens of an OpenAI usage object.</summary>
    private static (long? Input, long? Output) ReadUsage(ReadOnlySpan<byte> usage)
    {
        if (usage.IsEmpty) return (null, null);
        long? input = null;
        long? output = null;
        Utf8JsonReader reader = new(usage);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1) continue;
            bool isInput = reader.ValueTextEquals("prompt_tokens"u8);
            bool isOutput = reader.ValueTextEquals("completion_tokens"u8);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long number))
            {
                if (isInput) input = number;
                if (isOutput) output = number;
            }
            else reader.Skip();
        }

        return (input, output);
    }

    private static void LogRepairs(ILogger logger, Exchange exchange)
    {
        if (exchange.Repairs.Decisions.Count == 0 || !logger.IsEnabled(LogLevel.Debug)) return;
        foreach (RepairDecision d in exchange.Repairs.Decisions)
        {
            RequestLog.Repair(logger, exchange.RequestId, d.Stage, d.Rule, d.Action, d.Channel, d.Event, d.Bytes, d.Detail);
        }
    }

    private static string Snake(FaultKind kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());
}
