using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console.Setup;

/// <summary>What the probe found, as one line for a person.</summary>
internal sealed record ProbeResult(bool IsGood, string Message)
{
    /// <summary>Nobody was there to be asked, which says nothing about what was set up.</summary>
    public bool NoProxy { get; init; }
}

/// <summary>Asks the running proxy one tiny question in an agent's own dialect, with the key that the agent will show.</summary>
internal sealed class SetupProbe(TimeProvider time)
{
    private const string Question = "Say hello in one word.";
    private const int MostTokens = 64;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private sealed record Shape(string Path, string Body, string[] Endings);

    public async Task<ProbeResult> AskAsync(AgentDialect dialect, AgentTarget target, CancellationToken stop)
    {
        string address = target.Origin;
        Shape shape = ShapeOf(dialect, target.Model);
        using HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = s_patience };
        using HttpRequestMessage request = new(HttpMethod.Post, address + shape.Path) { Content = new StringContent(shape.Body, Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", target.KeyOrNone);
        if (dialect == AgentDialect.Messages) request.Headers.Add("anthropic-version", "2023-06-01");
        long start = time.GetTimestamp();
        try
        {
            using HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
            string body = await ReadAsync(response, stop);
            return Judge(shape, target, response, body, time.GetElapsedTime(start));
        }
        catch (HttpRequestException absent) when (absent.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError)
        {
            return new ProbeResult(false, $"No proxy answers at {address}. Start one with `qwen-proxy serve`, then run this command again to try it.") { NoProxy = true };
        }
        catch (Exception broken) when (broken is HttpRequestException || (broken is OperationCanceledException && !stop.IsCancellationRequested))
        {
            string how = broken is HttpRequestException ? "the connection broke" : $"no answer within {s_patience.TotalSeconds} s";
            return new ProbeResult(false, $"The proxy at {address} was asked for {target.Model}: {how}.");
        }
    }

    /// <summary>Why a model cannot be had, when the running proxy has a list and the model is not in it; null when it is, or when nobody can tell.</summary>
    public async Task<string?> WhyNotOfferedAsync(AgentTarget target, string model, CancellationToken stop)
    {
        using HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = s_patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", target.KeyOrNone);
        try
        {
            using HttpResponseMessage one = await client.GetAsync($"{target.BaseUrl}/models/{Uri.EscapeDataString(model)}", stop);
            if (one.IsSuccessStatusCode) return null;
            using JsonDocument list = JsonDocument.Parse(await client.GetStringAsync(target.BaseUrl + "/models", stop));
            string[] names = [.. list.RootElement.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString() ?? "")];
            if (names.Length == 0 || names.Contains(model)) return null;
            string nearest = Spelling.Nearest(model, names) is { } name ? $" Did you mean {name}?" : "";
            return $"{model} is not among the {names.Length} models on offer, which `qwen-proxy models` lists.{nearest}";
        }
        catch (Exception unknown) when (unknown is HttpRequestException or JsonException or KeyNotFoundException or InvalidOperationException
            || (unknown is OperationCanceledException && !stop.IsCancellationRequested))
        {
            // No proxy yet, or none that lists models: the probe tells what comes of it.
            return null;
        }
    }

    /// <summary>All that came. A stream that fails says why in its last event and then breaks the connection, which is no reason to lose the why.</summary>
    private static async Task<string> ReadAsync(HttpResponseMessage response, CancellationToken stop)
    {
        using MemoryStream seen = new();
        await using Stream body = await response.Content.ReadAsStreamAsync(stop);
        try
        {
            await body.CopyToAsync(seen, stop);
        }
        catch (Exception broken) when (broken is IOException or HttpRequestException)
        {
            // What came is judged like any other answer: without its end it is not a good one.
        }

        return Encoding.UTF8.GetString(seen.ToArray());
    }

    private static ProbeResult Judge(Shape shape, AgentTarget target, HttpResponseMessage response, string body, TimeSpan took)
    {
        string asked = $"{target.Model} over {shape.Path}";
        string account = response.Headers.TryGetValues("x-qwen-proxy-account", out IEnumerable<string>? names) ? $", account {string.Join(", ", names)}" : "";
        if (!response.IsSuccessStatusCode) return new ProbeResult(false, $"Asked for {asked}: {(int)response.StatusCode} {MessageOf(body) ?? "without a message; what answers there may be no Qwen Proxy"}{account}.{FixOf((int)response.StatusCode)}");

        // Every answer of this program names the account; another server at the port may well answer as nicely.
        if (account.Length == 0) return new ProbeResult(false, $"What answers at {target.Origin} is no Qwen Proxy. Stop it, or choose another port with --port.");
        bool isWhole = shape.Endings.Any(e => body.Contains(e, StringComparison.Ordinal));
        return isWhole
            ? new ProbeResult(true, $"Asked for {asked}: a whole answer in {took.TotalSeconds:0.0} s{account}.")
            : new ProbeResult(false, $"Asked for {asked}: the answer broke off: {ErrorEventOf(body) ?? "it has no end"}{account}.");
    }

    private static string FixOf(int status) => status switch
    {
        401 => $" Say the client key with --key or {AgentKey.Variable}; if the proxy runs with other client keys than this command sees, give it the same --config and environment.",
        404 => " `qwen-proxy models` lists the models on offer; `--model NAME` chooses one.",
        _ => "",
    };

    private static string? ErrorEventOf(string stream) => stream.Split('\n').Where(l => l.StartsWith("data: {", StringComparison.Ordinal)).Select(l => MessageOf(l[6..])).LastOrDefault(m => m is not null);

    /// <summary>
    /// The error's code and message; null when there is none. They have the same place in all dialects, except that Messages has no code and the last event
    /// of Responses has the error inside the response.
    /// </summary>
    private static string? MessageOf(string body)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(body);
            JsonElement root = json.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("response", out JsonElement whole)) root = whole;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("error", out JsonElement error) && error.ValueKind == JsonValueKind.Object)
            {
                string code = error.TryGetProperty("code", out JsonElement named) && named.ValueKind == JsonValueKind.String ? named.GetString() + ": " : "";
                if (error.TryGetProperty("message", out JsonElement message)) return (code + message.GetString()).TrimEnd('.');
            }
        }
        catch (JsonException)
        {
            // Not this program's error then, and not worth quoting: it may be a whole web page.
        }

        return null;
    }

    private static Shape ShapeOf(AgentDialect dialect, string model)
    {
        string name = JsonEncodedText.Encode(model).ToString();
        string messages = $$"""[{"role":"user","content":"{{Question}}"}]""";
        return dialect switch
        {
            AgentDialect.Messages => new Shape("/v1/messages", $$"""{"model":"{{name}}","max_tokens":{{MostTokens}},"stream":true,"messages":{{messages}}}""", ["\"message_stop\""]),
            AgentDialect.Responses => new Shape(
                "/v1/responses",
                $$"""{"model":"{{name}}","max_output_tokens":{{MostTokens}},"stream":true,"store":false,"input":"{{Question}}"}""",
                ["\"response.completed\"", "\"response.incomplete\""]),
            _ => new Shape("/v1/chat/completions", $$"""{"model":"{{name}}","max_tokens":{{MostTokens}},"stream":true,"messages":{{messages}}}""", ["data: [DONE]"]),
        };
    }
}
