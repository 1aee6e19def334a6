using System.Text;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>An upstream that repeats what it was sent: no secret comes out by any door.</summary>
public sealed class SecretTests
{
    private const string Key = "sk-canary-0123456789abcdef";
    private const string HeaderSecret = "tenant-canary-77";
    private const string Start = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";

    /// <summary>What upstream says, by what it is; KEY and HEAD stand for the two secrets.</summary>
    public static TheoryData<string, string> Answers => new()
    {
        { "JSON error", RawUpstream.Json(401, """{"error":{"message":"Incorrect API key provided: KEY (HEAD)","type":"KEY","code":"bad_KEY","param":"KEY"},"request_id":"HEAD"}""") },
        { "other JSON error", RawUpstream.Json(400, """{"code":"InvalidApiKey","message":"Authorization: Bearer KEY","request_id":"KEY"}""") },
        { "escaped JSON error", RawUpstream.Json(429, "{\"error\":{\"message\":\"" + string.Concat(Key.Select(c => $"\\u{(int)c:x4}")) + "\"}}", "Retry-After: 0\r\n") },
        { "text error", "HTTP/1.1 403 X\r\nContent-Type: text/plain\r\nX-Request-Id: KEY\r\nX-DashScope-Echo: Bearer KEY\r\nConnection: close\r\n\r\nno entry with KEY and HEAD" },
        { "web page", "HTTP/1.1 502 X\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><title>Bad KEY</title>HEAD</html>" },
        { "error as the first event", RawUpstream.Sse("data: {\"error\":{\"message\":\"KEY\",\"code\":\"HEAD\"}}\n\n") },
        { "error in the stream", RawUpstream.Sse(Start + "data: {\"error\":{\"message\":\"KEY\",\"code\":\"HEAD\"}}\n\n") },
        { "failed finish", RawUpstream.Sse(Start + "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"KEY is bad\"},\"finish_reason\":\"error_finish\"}]}\n\n") },
        { "type of no stream", "HTTP/1.1 200 OK\r\nContent-Type: text/KEY\r\nConnection: close\r\n\r\nhello" },
        { "headers of a good answer", RawUpstream.Sse(Start.Replace("\"delta\"", "\"finish_reason\":\"stop\",\"delta\"", StringComparison.Ordinal) + "data: [DONE]\n\n", "X-Request-Id: KEY\r\nX-RateLimit-Key: HEAD\r\nopenai-organization: kEY\r\n") },
        { "a status line that is none", "HTTP/1.1 KEY HEAD\r\n\r\n" },
    };

    /// <summary>The same from upstreams that are asked in the client's own dialect.</summary>
    public static TheoryData<string, string> NativeAnswers => new()
    {
        { "JSON error", RawUpstream.Json(401, """{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key KEY (HEAD)"},"request_id":"HEAD"}""") },
        { "error as the first event", RawUpstream.Sse("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"HEAD\",\"message\":\"KEY\"}}\n\n") },
        { "error in a message", RawUpstream.Sse(MessageStart + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"HEAD\",\"message\":\"KEY\"}}\n\n") },
        { "flat error in a message", RawUpstream.Sse(MessageStart + "event:error\ndata:{\"code\":\"HEAD\",\"message\":\"Bearer KEY\",\"request_id\":\"KEY\"}\n\n") },
        { "failed response", RawUpstream.Sse(ResponseStart + "data: {\"type\":\"response.failed\",\"sequence_number\":2,\"response\":{\"id\":\"r\",\"status\":\"failed\",\"error\":{\"code\":\"HEAD\",\"message\":\"KEY\"}}}\n\n") },
        { "error in a response", RawUpstream.Sse(ResponseStart + "data: {\"type\":\"error\",\"sequence_number\":2,\"code\":\"HEAD\",\"message\":\"KEY\",\"param\":\"KEY\"}\n\n") },
        { "a path that is not there", RawUpstream.Json(404, """{"error":"no KEY at HEAD"}""") },
        { "headers of a message", RawUpstream.Sse(MessageStart + "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n", "request-id: KEY\r\nanthropic-organization-id: HEAD\r\n") },
    };

    private const string MessageStart = """
        data: {"type":"message_start","message":{"id":"m","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}

        data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

        data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}


        """;

    private const string ResponseStart = """
        data: {"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","status":"in_progress","output":[]}}

        data: {"type":"response.output_text.delta","sequence_number":1,"output_index":0,"item_id":"i","delta":"x"}


        """;

    [Theory]
    [MemberData(nameof(NativeAnswers))]
    public Task WhatANativeUpstreamRepeats_ComesOutNowhere(string what, string answer) => SeeAsync(what, answer, Profiles.DashScope);

    [Theory]
    [MemberData(nameof(Answers))]
    public Task WhatUpstreamRepeats_ComesOutNowhere(string what, string answer) => SeeAsync(what, answer, Profiles.Generic);

    private static async Task SeeAsync(string what, string answer, UpstreamProfile profile)
    {
        answer = answer.Replace("kEY", Key.ToUpperInvariant(), StringComparison.Ordinal).Replace("KEY", Key, StringComparison.Ordinal).Replace("HEAD", HeaderSecret, StringComparison.Ordinal);
        await using RawUpstream upstream = RawUpstream.Always(answer);
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { ApiKey = new Secret(Key), Headers = [new("X-Tenant", "Basic " + HeaderSecret)], Profile = profile };
        using TemporaryFolder data = new();
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            new ProxySnapshot { Accounts = [account], Storage = new StorageSnapshot { DataFolder = data.Path } }, s => ErrorTests.OneAttempt(s) with { Resume = false });
        StringBuilder seen = new();
        foreach (string path in new[] { "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings" })
        {
            foreach (bool stream in new[] { true, false })
            {
                string dialect = path switch { "/v1/messages" => Dialect.Messages, "/v1/responses" => Dialect.Responses, _ => Dialect.Chat };
                using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
                await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream), path, "Connection: close\r\n"));
                RawResponse response = await client.ReadToEndAsync();
                // What is forwarded and succeeds is the model's own and no word about a failure.
                if (path != "/v1/embeddings" || !response.Head.Contains(" 200 ", StringComparison.Ordinal)) seen.AppendLine(response.Head).AppendLine(response.Body);
                else seen.AppendLine(response.Head);
            }
        }

        foreach (string page in new[] { "/admin/status", "/admin/requests", "/admin/models", "/v1/models", "/metrics", "/readyz" }) seen.AppendLine(await (await proxy.Client.GetAsync(page)).Content.ReadAsStringAsync());
        foreach (string line in proxy.Log.Lines) seen.AppendLine(line);
        await proxy.Server.StopAsync();
        foreach (string file in Directory.EnumerateFiles(data.Path, "*", SearchOption.AllDirectories))
        {
            using FileStream open = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using StreamReader text = new(open, Encoding.Latin1);
            seen.AppendLine(await text.ReadToEndAsync());
        }

        string all = seen.ToString();
        Assert.False(all.Contains(Key, StringComparison.OrdinalIgnoreCase), $"{what}: {Around(all, Key)}");
        Assert.False(all.Contains(HeaderSecret, StringComparison.OrdinalIgnoreCase), $"{what}: {Around(all, HeaderSecret)}");
        Assert.NotEmpty(upstream.Requests);
    }

    private static string Around(string text, string secret)
    {
        int at = text.IndexOf(secret, StringComparison.OrdinalIgnoreCase);
        return at < 0 ? "" : text[Math.Max(0, at - 300)..Math.Min(text.Length, at + 100)];
    }
}
