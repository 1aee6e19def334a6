using System.Globalization;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Observability;

namespace QwenProxy.Console;

/// <summary>
/// <c>qwen-proxy requests</c>: what ended and why. A running proxy is asked first, since it knows the reasons of the last ones in words; without one the
/// ledger tells what it keeps.
/// </summary>
internal sealed class RequestsCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    private static readonly string[] s_details =
    [
        "time", "requestId", "path", "dialect", "status", "end", "reason", "fix", "source", "code", "tried", "model", "served", "account", "client", "stream", "native",
        "attempts", "resumes", "ttfbMs", "durationMs", "inputTokens", "cachedTokens", "cacheWrittenTokens", "outputTokens", "reasoningTokens", "estimatedUsd",
    ];

    public async Task<int> RunAsync(RequestsOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        if (!LedgerCommand.TryReadSince(terminal, options.Since, time, out DateTimeOffset? since)) return ExitCodes.BadUsage;
        LedgerFilter filter = new() { Since = since, Failed = options.Failed, Model = options.Model, Client = options.Client, RequestId = options.RequestId, Limit = options.Limit };
        (JsonDocument? answer, _) = await AdminClient.GetAsync(snapshot, "/admin/requests?" + QueryOf(filter), stop);
        terminal.Error.WriteLine(answer is null ? $"No proxy answers at {AdminClient.OriginOf(snapshot)}; this is what the ledger keeps." : $"As the proxy at {AdminClient.OriginOf(snapshot)} knows them:");
        return await LedgerAccess.RunAsync(terminal, snapshot.Storage, time, ledger =>
        {
            using JsonDocument list = answer ?? FromLedger(ledger, filter);
            return Print([.. list.RootElement.GetProperty("requests").EnumerateArray()], options);
        });
    }

    private int Print(JsonElement[] requests, RequestsOptions options)
    {
        if (options.RequestId is { } id && requests.Length == 0)
        {
            terminal.Error.WriteLine($"There is no request {id} in the ledger. `qwen-proxy requests` lists the last ones.");
            return ExitCodes.NotFound;
        }

        if (options.Json) JsonPrinter.Print(terminal, json => WriteArray(json, requests));
        else if (options.RequestId is not null) PrintOne(requests[0]);
        else if (requests.Length == 0) terminal.Error.WriteLine("No request fits.");
        else PrintList(requests);
        return ExitCodes.Done;
    }

    private void PrintList(JsonElement[] requests)
    {
        TablePrinter.Print(terminal, ["TIME", "STATUS", "END", "MODEL", "ACCOUNT", "CLIENT", "SECONDS", "REQUEST-ID"],
            [.. requests.Select(r => new[] { Local(r), Text(r, "status"), Text(r, "end"), Text(r, "model"), Text(r, "account"), Text(r, "client"), Seconds(r), Text(r, "requestId") })]);
        foreach (JsonElement one in requests.Where(r => Text(r, "reason").Length > 0 || Text(r, "tried").Length > 0))
            terminal.Out.WriteLine($"{Text(one, "requestId")}: {PrintableText.Of(Text(one, "reason").Length > 0 ? Text(one, "reason") : Text(one, "tried"), 600)}");
    }

    private void PrintOne(JsonElement request)
    {
        foreach (string name in s_details)
        {
            string value = name == "time" ? Local(request) : Text(request, name);
            if (value.Length > 0) terminal.Out.WriteLine($"{name,-19}{PrintableText.Of(value, 600)}");
        }
    }

    private static JsonDocument FromLedger(ILedger ledger, LedgerFilter filter)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteStartArray("requests");
            foreach (LedgerEntry entry in ledger.Find(filter))
            {
                json.WriteStartObject();
                LedgerJson.WriteMembers(json, entry);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return JsonDocument.Parse(bytes.ToArray());
    }

    private static string QueryOf(LedgerFilter filter)
    {
        List<string> parts = [$"limit={filter.Limit}"];
        if (filter.Failed) parts.Add("failed=true");
        Add("model", filter.Model);
        Add("client", filter.Client);
        Add("id", filter.RequestId);
        Add("since", filter.Since?.ToString("O", CultureInfo.InvariantCulture));
        return string.Join('&', parts);

        void Add(string name, string? value)
        {
            if (value is not null) parts.Add($"{name}={Uri.EscapeDataString(value)}");
        }
    }

    private static void WriteArray(Utf8JsonWriter json, JsonElement[] requests)
    {
        json.WriteStartArray();
        foreach (JsonElement one in requests) one.WriteTo(json);
        json.WriteEndArray();
    }

    private static string Local(JsonElement request) => request.GetProperty("time").GetDateTimeOffset().ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    private static string Seconds(JsonElement request) => (request.GetProperty("durationMs").GetDouble() / 1000).ToString("0.0", CultureInfo.InvariantCulture);

    private static string Text(JsonElement request, string name) => request.TryGetProperty(name, out JsonElement value) ? value.ToString() : "";
}
