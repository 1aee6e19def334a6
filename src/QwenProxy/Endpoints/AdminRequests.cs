using System.Collections.Immutable;
using System.Text.Json;
using QwenProxy.Core.Ledger;
using QwenProxy.Observability;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary><c>GET /admin/requests</c>: what runs, the oldest first, and what ended, the newest first. Fields are named as in the log line.</summary>
internal static class AdminRequests
{
    public static void Write(Utf8JsonWriter json, ImmutableArray<RunningRequest> running, ImmutableArray<SettledRequest> recent)
    {
        json.WriteStartObject();
        json.WriteStartArray("running");
        foreach (RunningRequest one in running) WriteRunning(json, one);
        json.WriteEndArray();
        json.WriteNumber("kept", RequestBook.Kept);
        json.WriteStartArray("recent");
        foreach (SettledRequest one in recent) WriteSettled(json, one);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void WriteRunning(Utf8JsonWriter json, RunningRequest one)
    {
        json.WriteStartObject();
        json.WriteString("requestId", one.RequestId);
        json.WriteString("path", one.Path);
        json.WriteString("model", one.Model);
        json.WriteString("served", one.Served);
        json.WriteString("account", one.Account);
        json.WriteString("client", one.Client);
        json.WriteBoolean("stream", one.Stream);
        json.WriteNumber("attempts", one.Attempts);
        json.WriteNumber("resumes", one.Resumes);
        json.WriteBoolean("answering", one.IsAnswering);
        json.WriteNumber("responseBytes", one.ResponseBytes);
        json.WriteNumber("durationMs", Math.Round(one.Duration.TotalMilliseconds));
        json.WriteEndObject();
    }

    private static void WriteSettled(Utf8JsonWriter json, SettledRequest one)
    {
        LedgerEntry entry = one.Entry;
        json.WriteStartObject();
        json.WriteString("time", entry.Time);
        json.WriteString("requestId", entry.RequestId);
        json.WriteString("method", one.Method);
        json.WriteString("path", one.Path);
        json.WriteNumber("status", entry.Status);
        json.WriteString("end", entry.End);
        json.WriteString("source", entry.Source);
        json.WriteString("code", entry.Code);
        json.WriteString("reason", one.Reason);
        json.WriteString("fix", entry.Fix);
        json.WriteString("tried", entry.Tried);
        json.WriteString("model", entry.AskedModel);
        json.WriteString("served", entry.ServedModel);
        json.WriteString("account", entry.Account);
        json.WriteString("client", entry.Client);
        json.WriteString("address", one.Address);
        json.WriteString("agent", one.Agent);
        json.WriteBoolean("stream", one.Stream);
        json.WriteBoolean("native", one.Native);
        json.WriteNumber("attempts", entry.Attempts);
        json.WriteNumber("resumes", entry.Resumes);
        json.WriteNumber("requestBytes", one.RequestBytes);
        json.WriteNumber("responseBytes", one.ResponseBytes);
        json.WriteNumber("upstreamBytes", one.UpstreamBytes);
        WriteNumber(json, "ttfbMs", one.FirstByteMs);
        json.WriteNumber("durationMs", one.DurationMs);
        WriteNumber(json, "inputTokens", entry.Tokens?.Input);
        WriteNumber(json, "outputTokens", entry.Tokens?.Output);
        json.WritePropertyName("repairs");
        RepairCount.Write(json, one.Repairs);
        json.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
        else json.WriteNull(name);
    }
}
