using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Observability;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>GET /admin/events</c>: server-sent events instead of a page that asks again and again. <c>status</c> is what <c>/admin/status</c> answers, every
/// other second; <c>requests</c> has what runs, what has ended since the event before, and the last minute's traffic, at most once a second and only when there is
/// something to tell. Nothing of it asks the ledger.
/// </summary>
internal sealed class AdminEvents(AdminStatus status, RequestBook requests, DrainState drain, TimeProvider time)
{
    private const int MostListeners = 32;

    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private int _listeners;

    /// <param name="http">Whom to tell.</param>
    /// <param name="mayGoOn">Whether it may still be told; asked before each event, since a sign-in ends while its page stays open.</param>
    /// <returns>Why nothing is told; null when it was.</returns>
    public async Task<ProxyError?> RunAsync(HttpContext http, Func<bool> mayGoOn)
    {
        if (Interlocked.Increment(ref _listeners) > MostListeners)
        {
            Interlocked.Decrement(ref _listeners);
            return OwnErrors.InvalidRequest($"There are {MostListeners} pages open already. Close some of them.") with { Status = StatusCodes.Status503ServiceUnavailable };
        }

        try
        {
            http.Response.ContentType = "text/event-stream";
            http.Response.Headers.CacheControl = "no-store";
            // A server before this one is not to keep events back.
            http.Response.Headers["X-Accel-Buffering"] = "no";
            await TellAsync(http, mayGoOn);
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException)
        {
            // The page was closed.
        }
        finally
        {
            Interlocked.Decrement(ref _listeners);
        }

        return null;
    }

    private async Task TellAsync(HttpContext http, Func<bool> mayGoOn)
    {
        CancellationToken closed = http.RequestAborted;
        (_, long ended) = requests.Since(long.MaxValue);
        string told = "";
        for (int second = 0; !drain.IsDraining && mayGoOn(); second++)
        {
            if (second % 2 == 0) await WriteAsync(http, "status", status.Render());
            (byte[] event_, string state, ended) = Look(ended);
            if (state != told) await WriteAsync(http, "requests", event_);
            told = state;
            await http.Response.Body.FlushAsync(closed);
            await Task.Delay(s_pause, time, closed);
        }
    }

    /// <summary>The event, and what makes two of them the same: nothing runs, nothing ended, and the traffic is what it was.</summary>
    private (byte[] Event, string State, long Ended) Look(long from)
    {
        (var ended, long count) = requests.Since(from);
        var running = requests.Running();
        MinuteTraffic traffic = requests.LastMinute(time.GetUtcNow());
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteStartArray("running");
            foreach (RunningRequest one in running) AdminRequests.WriteRunning(json, one);
            json.WriteEndArray();
            json.WriteStartArray("ended");
            foreach (SettledRequest one in ended) AdminRequestList.WriteRow(json, one.Entry, one);
            json.WriteEndArray();
            json.WriteStartObject("minute");
            json.WriteNumber("requests", traffic.Requests);
            json.WriteNumber("failed", traffic.Failed);
            json.WriteNumber("inputTokens", traffic.InputTokens);
            json.WriteNumber("outputTokens", traffic.OutputTokens);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return (bytes.ToArray(), running.IsEmpty && ended.IsEmpty ? traffic.ToString() : time.GetTimestamp().ToString(System.Globalization.CultureInfo.InvariantCulture), count);
    }

    private static async Task WriteAsync(HttpContext http, string name, byte[] data)
    {
        await http.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($"event: {name}\ndata: "), http.RequestAborted);
        await http.Response.Body.WriteAsync(data, http.RequestAborted);
        await http.Response.Body.WriteAsync("\n\n"u8.ToArray(), http.RequestAborted);
    }
}
