using System.Globalization;
using System.Text;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Hosting;

/// <summary>One request and the answer an upstream has for it, both made from a seed: mostly right, and wrong somewhere.</summary>
internal sealed class FuzzCase
{
    private const string Chunk = """{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"some text","tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{\"a\":"}}]},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2}}""";

    private static readonly string[] Routes =
    [
        "POST /v1/chat/completions", "POST /v1/messages", "POST /v1/responses", "POST /v1/messages/count_tokens", "POST /v1/embeddings", "GET /v1/models", "GET /v1/models/m", "GET /v1/files",
        "DELETE /v1/responses/r", "GET /admin/status", "POST /admin/accounts/up/reset", "GET /admin/usage?since=x", "GET /metrics", "GET /", "OPTIONS /v1/models", "PUT /v1/files/f", "HEAD /v1/files",
    ];

    private static readonly string[] Names =
    [
        "User-Agent", "Accept", "Accept-Language", "anthropic-beta", "anthropic-version", "Authorization", "x-api-key", "Content-Encoding", "traceparent", "tracestate", "x-qwen-proxy-repair", "x-qwen-proxy-resume",
        "session_id", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "Expect", "TE", "Upgrade", "Cookie", "X-Odd", "X-DashScope-Odd", "Range", "If-None-Match",
    ];

    private readonly int _seed;

    private FuzzCase(int seed) => _seed = seed;

    public static FuzzCase Of(int seed, int number) => new(unchecked((seed * 397) ^ number));

    public byte[] Request(int number)
    {
        Random random = new(_seed);
        string route = Pick(random, Routes);
        if (random.Next(8) == 0) route = $"{route.Split(' ')[0]} {Target(random)}";
        if (random.Next(40) == 0) route = Noise(random, 30);
        string dialect = route.Contains("messages", StringComparison.Ordinal) ? Dialect.Messages : route.Contains("responses", StringComparison.Ordinal) ? Dialect.Responses : Dialect.Chat;
        byte[] body = route.StartsWith('P') ? Mutated(random, Dialect.Body(dialect, random.Next(2) == 0, Pick(random, "m", "通义", "up/m", "\\u0000", "a\\nb", new string('m', 300)))) : [];
        using MemoryStream request = new();
        Write(request, $"{route} HTTP/1.{Pick(random, "1", "1", "1", "0")}\r\nHost: {Pick(random, "localhost", "127.0.0.1", "localhost", "evil.example")}\r\nConnection: close\r\nX-Title: {number.ToString(CultureInfo.InvariantCulture)}\r\n");
        for (int i = random.Next(4); i > 0; i--)
        {
            Write(request, Pick(random, Names) + ": ");
            request.Write(Bytes(random, 24));
            Write(request, "\r\n");
        }

        int length = random.Next(20) == 0 ? random.Next(-1, 100) : body.Length;
        if (body.Length > 0 || random.Next(2) == 0) Write(request, $"Content-Type: application/json\r\nContent-Length: {length.ToString(CultureInfo.InvariantCulture)}\r\n");
        Write(request, "\r\n");
        request.Write(body);
        return request.ToArray();
    }

    /// <summary>The request is for one of the paths that are read and not forwarded.</summary>
    public bool IsChat(int number)
    {
        string line = Encoding.UTF8.GetString(Request(number)).Split('\r')[0];
        return line.StartsWith("POST /v1/chat/completions ", StringComparison.Ordinal) || line.StartsWith("POST /v1/messages ", StringComparison.Ordinal) || line.StartsWith("POST /v1/responses ", StringComparison.Ordinal);
    }

    /// <param name="key">The account's key, which upstream repeats wherever it is no part of an answer.</param>
    public byte[] Response(string key)
    {
        Random random = new(_seed + 1);
        if (random.Next(30) == 0) return Bytes(random, 200);
        bool fails = random.Next(3) == 0;
        using MemoryStream response = new();
        Write(response, $"HTTP/1.1 {(fails ? random.Next(300, 600) : Pick(random, "200", "200", "201", "204", "299"))} {Pick(random, "OK", "", key, "X")}\r\n");
        Write(response, $"Content-Type: {Pick(random, "text/event-stream", "text/event-stream", "application/json", "text/html", "text/" + key, ";;", "")}\r\n");
        foreach (string name in new[] { "X-Request-Id", "X-RateLimit-Odd", "Retry-After", "ETag", "x-dashscope-odd", "Cache-Control", "Content-Encoding", "Content-Disposition" })
        {
            if (random.Next(5) > 0) continue;
            Write(response, name + ": ");
            if (random.Next(2) == 0) Write(response, key);
            response.Write(Bytes(random, 12));
            Write(response, "\r\n");
        }

        Write(response, "Connection: close\r\n\r\n");
        if (fails)
        {
            Write(response, Failure(random, key));
            return response.ToArray();
        }

        for (int i = random.Next(5); i > 0; i--)
        {
            Write(response, Pick(random, "data: ", "data:", "event: x\ndata: ", ": c\n\ndata: "));
            // What fails by an event is a word about a failure; what does not is the model's, and holds no key.
            response.Write(random.Next(6) == 0 ? Encoding.UTF8.GetBytes(Failure(random, key, events: true)) : Mutated(random, Chunk));
            Write(response, Pick(random, "\n\n", "\r\n\r\n", "\r\r", "\n"));
        }

        if (random.Next(3) > 0) Write(response, "data: [DONE]\n\n");
        return response.ToArray();
    }

    public static string Failure(Random random, string key, bool events = false)
    {
        string body = Pick(random,
            """{"error":{"message":"KEY is bad","type":"KEY","code":"KEY","param":"KEY"},"request_id":"KEY"}""",
            """{"error":{"message":"Rate limit of KEY","code":429}}""",
            """{"error":"KEY"}""",
            """{"code":"Throttling","message":"KEY","request_id":"KEY"}""",
            """{"type":"error","error":{"type":"overloaded_error","message":"KEY"}}""",
            "<html><title>KEY</title></html>",
            "KEY");
        // In a stream only what names an error is one.
        if (events && body[0] != '{') body = """{"error":{"message":"KEY"}}""";
        return body.Replace("KEY", key, StringComparison.Ordinal);
    }

    public static string Target(Random random) => Pick(random,
        "/v1/../admin/status", "/v1/%2e%2e/admin", "/v1/%", "/v1/%zz", "/v1/%00", "/v1//", "//", "*", "http://localhost/v1/models", "/v1/models?" + Ascii(random, 10), "/v1/" + Ascii(random, 20), "/v1/files/%E4%BD%A0", "/v1/a;b=c", "/v1/[x]", "/v1/a:b@c");

    public static string Noise(Random random, int most) => Encoding.Latin1.GetString(Bytes(random, most));

    public static string Pick(Random random, params string[] of) => of[random.Next(of.Length)];

    private static string Ascii(Random random, int most) => string.Concat(Enumerable.Range(0, random.Next(most)).Select(_ => (char)random.Next('!', '~')));

    /// <summary>Any bytes but the two that would end a line.</summary>
    private static byte[] Bytes(Random random, int most)
    {
        byte[] bytes = new byte[random.Next(most + 1)];
        random.NextBytes(bytes);
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] is (byte)'\r' or (byte)'\n') bytes[i] = (byte)' ';
        }

        return bytes;
    }

    private static byte[] Mutated(Random random, string text)
    {
        List<byte> bytes = [.. Encoding.UTF8.GetBytes(text)];
        for (int i = random.Next(4); i > 0 && bytes.Count > 0; i--)
        {
            int at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes.RemoveAt(at); break;
                case 2: bytes.Insert(at, (byte)Pick(random, "{", "}", "[", "\"", "\\", "0", "\u0001")[0]); break;
                case 3: bytes.RemoveRange(at, bytes.Count - at); break;
                case 4: bytes.InsertRange(at, bytes.GetRange(at, Math.Min(20, bytes.Count - at))); break;
                default: bytes.InsertRange(at, Encoding.UTF8.GetBytes(Pick(random, "null", "1e999", "\"\\ud800\"", "[[[[[[[[", "-0", "true", new string('[', 200)))); break;
            }
        }

        return [.. bytes];
    }

    private static void Write(Stream to, string text) => to.Write(Encoding.UTF8.GetBytes(text));
}
