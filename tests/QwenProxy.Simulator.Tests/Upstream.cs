using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace QwenProxy.Simulator.Tests;

/// <summary>A started simulator with a client for it.</summary>
internal sealed class Upstream : IAsyncDisposable
{
    private Upstream(SimulatorServer server)
    {
        Server = server;
        Client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            BaseAddress = new Uri(server.BaseUrl + "/"),
            Timeout = Timeout.InfiniteTimeSpan
        };
    }

    public SimulatorServer Server { get; }

    public HttpClient Client { get; }

    public static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static async Task<Upstream> StartAsync(SimulatorOptions? options = null) =>
        new(await SimulatorServer.StartAsync(options ?? new SimulatorOptions(), Stop));

    public async Task<HttpResponseMessage> PostAsync(string path, string body, string? scenario = null, bool headersOnly = true)
    {
        HttpRequestMessage request = new(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (scenario is not null) request.Headers.Add("x-simulator-scenario", scenario);
        return await Client.SendAsync(request, headersOnly ? HttpCompletionOption.ResponseHeadersRead : HttpCompletionOption.ResponseContentRead,
            Stop);
    }

    public async Task<byte[]> ChatBytesAsync(string body, string? scenario = null)
    {
        using HttpResponseMessage response = await PostAsync("chat/completions", body, scenario);
        return await response.Content.ReadAsByteArrayAsync(Stop);
    }

    public async Task<string> ChatAsync(string body, string? scenario = null) => Encoding.UTF8.GetString(await ChatBytesAsync(body, scenario));

    public async Task<StreamReading> ReadStreamAsync(string body, string? scenario = null) => StreamReading.Of(await ChatBytesAsync(body, scenario));

    /// <summary>Reads to the end of the connection, whatever that end is, with nothing between the test and the socket.</summary>
    public async Task<(byte[] Bytes, SocketException? Fault)> RawAsync(string body, string scenario)
    {
        using TcpClient tcp = new();
        await tcp.ConnectAsync(IPAddress.Loopback, Server.BaseUrl.Port, Stop);
        string head = $"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nx-simulator-scenario: {scenario}\r\nConnection: close\r\n"
            + $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n";
        await tcp.Client.SendAsync(Encoding.UTF8.GetBytes(head + body), Stop);
        using MemoryStream bytes = new();
        byte[] buffer = new byte[8192];
        try
        {
            while (true)
            {
                int read = await tcp.Client.ReceiveAsync(buffer, Stop);
                if (read == 0) return (bytes.ToArray(), null);
                bytes.Write(buffer, 0, read);
            }
        }
        catch (SocketException fault)
        {
            return (bytes.ToArray(), fault);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Server.DisposeAsync();
    }
}

/// <summary>Request bodies that the tests share.</summary>
internal static class Ask
{
    public const string Question = "When does the ferry leave? 渡轮";

    public const string Plain = """{"model":"qwen3.7-plus","messages":[{"role":"user","content":"When does the ferry leave? 渡轮"}]}""";

    public const string Stream =
        """{"model":"qwen3.7-plus","messages":[{"role":"user","content":"When does the ferry leave? 渡轮"}],"""
        + "\"stream\":true,\"stream_options\":{\"include_usage\":true}}";

    public const string Tools =
        """
        {"model":"qwen3.7-plus","stream":true,"messages":[{"role":"user","content":"Look it up"}],"tools":[
        {"type":"function","function":{"name":"read_file","parameters":{"type":"object","properties":{"path":{"type":"string"},"limit":
        {"type":"integer"},"lines":{"type":"array","items":{"type":"number"}}},"required":["path","limit","lines"]}}},
        {"type":"function","function":{"name":"list","parameters":{"type":"object","properties":{"deep":{"type":"boolean"}}}}}]}
        """;

    public static byte[] Bytes(this string body) => Encoding.UTF8.GetBytes(body);

    public static JsonElement Json(this string body)
    {
        using JsonDocument document = JsonDocument.Parse(body);
        return document.RootElement.Clone();
    }
}
