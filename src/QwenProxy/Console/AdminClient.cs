using System.Net.Http.Headers;
using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console;

/// <summary>Asks a running proxy over its admin API, at the address the configuration names.</summary>
internal static class AdminClient
{
    /// <summary>Where programs on this machine reach the proxy: scheme, host and port, without a slash at the end.</summary>
    public static string OriginOf(ProxySnapshot snapshot)
    {
        string host = snapshot.Host is "0.0.0.0" or "*" or "::" or "[::]" or "+" ? "127.0.0.1" : snapshot.Host;
        if (host.Contains(':', StringComparison.Ordinal) && !host.StartsWith('[')) host = $"[{host}]";
        return $"http://{host}:{snapshot.Port}";
    }

    /// <summary>Whether something answers there at all.</summary>
    public static async Task<bool> IsAliveAsync(string origin, CancellationToken stop)
    {
        using HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using HttpResponseMessage response = await client.GetAsync(new Uri(origin + "/healthz"), stop);
            return response.IsSuccessStatusCode;
        }
        catch (Exception absent) when (absent is HttpRequestException || (absent is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return false;
        }
    }

    /// <summary>The proxy's status; null when none answers there, with the reason in <c>Problem</c>.</summary>
    public static Task<(JsonDocument? Status, string Problem)> StatusAsync(ProxySnapshot snapshot, CancellationToken stop) => GetAsync(snapshot, "/admin/status", stop);

    /// <summary>What the proxy tells by itself, as it comes; null when none answers there, with the reason in <c>Problem</c>.</summary>
    public static async Task<(Stream? Events, string Problem)> EventsAsync(ProxySnapshot snapshot, CancellationToken stop)
    {
        Uri address = new(OriginOf(snapshot) + "/admin/events");
        HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(5) }) { Timeout = Timeout.InfiniteTimeSpan };
        using HttpRequestMessage request = RequestFor(snapshot, address);
        try
        {
            HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
            if (response.IsSuccessStatusCode) return (await response.Content.ReadAsStreamAsync(stop), "");
            client.Dispose();
            return (null, Foreign(address, (int)response.StatusCode));
        }
        catch (HttpRequestException)
        {
            client.Dispose();
            return (null, Absent(address));
        }
    }

    /// <summary>What the proxy says to a path of its admin API; null when none answers there, with the reason in <c>Problem</c>.</summary>
    public static async Task<(JsonDocument? Answer, string Problem)> GetAsync(ProxySnapshot snapshot, string path, CancellationToken stop)
    {
        Uri address = new(OriginOf(snapshot) + path);
        using HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };
        using HttpRequestMessage request = RequestFor(snapshot, address);
        try
        {
            using HttpResponseMessage response = await client.SendAsync(request, stop);
            string body = await response.Content.ReadAsStringAsync(stop);
            if (response.IsSuccessStatusCode) return (JsonDocument.Parse(body), "");
            return (null, Foreign(address, (int)response.StatusCode));
        }
        catch (Exception absent) when (absent is HttpRequestException or JsonException || (absent is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return (null, Absent(address));
        }
    }

    private static HttpRequestMessage RequestFor(ProxySnapshot snapshot, Uri address)
    {
        HttpRequestMessage request = new(HttpMethod.Get, address);
        if (snapshot.Clients.FirstOrDefault(c => c.IsAdmin) is { } admin) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", admin.Key.Reveal());
        return request;
    }

    private static string Absent(Uri address) => $"No proxy answers at {address.GetLeftPart(UriPartial.Authority)}. Start one with `qwen-proxy serve`.";

    private static string Foreign(Uri address, int status) => $"What answers at {address.GetLeftPart(UriPartial.Authority)} said {status}; it is no Qwen Proxy of this configuration.";
}
