using System.Globalization;
using System.Text.Json;
using QwenProxy.Observability;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace QwenProxy.Console;

/// <summary>What <c>top</c> shows: the last of what the proxy told, fitted into a terminal's width and height.</summary>
internal sealed class TopView(string origin)
{
    private const int MostEnded = 100;

    /// <summary>A head line, the heads of three lists and the line that says how to leave.</summary>
    private const int FixedLines = 9;

    private readonly List<JsonElement> _ended = [];
    private JsonElement? _status;
    private JsonElement? _requests;

    /// <summary>Why nothing new comes; null while something does.</summary>
    public string? Problem { get; set; }

    public bool IsComplete => _status is not null && _requests is not null;

    /// <summary>What had ended before the first event, newest first.</summary>
    public void Begin(JsonElement recent) => _ended.AddRange(recent.EnumerateArray().Take(MostEnded));

    /// <summary>Takes an event over; of one that is not known here nothing.</summary>
    public void Take(string name, JsonElement data)
    {
        Problem = null;
        if (name == "status") _status = data;
        if (name != "requests") return;
        _requests = data;
        _ended.InsertRange(0, data.GetProperty("ended").EnumerateArray());
        if (_ended.Count > MostEnded) _ended.RemoveRange(MostEnded, _ended.Count - MostEnded);
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WritePropertyName("status");
        _status!.Value.WriteTo(json);
        foreach (string name in (string[])["running", "minute"])
        {
            json.WritePropertyName(name);
            _requests!.Value.GetProperty(name).WriteTo(json);
        }

        json.WriteEndObject();
    }

    /// <summary>Accounts first, then what runs, then as much of what ended as there is room for.</summary>
    public IRenderable Draw(int width, int height, TimeProvider time)
    {
        JsonElement[] accounts = [.. _status!.Value.GetProperty("accounts").EnumerateArray()];
        JsonElement[] running = [.. _requests!.Value.GetProperty("running").EnumerateArray()];
        int room = Math.Max(3, height - FixedLines);
        int accountRows = Math.Clamp(accounts.Length, 1, Math.Max(1, room / 3));
        int runningRows = Math.Clamp(running.Length, 1, Math.Max(1, (room - accountRows) / 2));
        int endedRows = Math.Max(1, room - accountRows - runningRows);
        return new Rows(
            new Text(Cut(Head(), width)),
            new Text(Cut(Problem ?? Traffic(), width), Problem is null ? Style.Plain : new Style(Color.Red)),
            List(width, ["ACCOUNT", "STATE", "RUNNING"], accounts, accountRows, a => [Of(a, "name"), Says(a), Slots(a)]),
            List(width, ["FOR", "MODEL", "ACCOUNT", "CLIENT", "STATE", "SENT"], running, runningRows,
                r => [Span(Number(r, "durationMs")), Of(r, "model"), Of(r, "account"), Of(r, "client"), r.GetProperty("answering").GetBoolean() ? "answers" : "waits", Bytes(Number(r, "responseBytes"))]),
            List(width, ["ENDED", "RESULT", "MODEL", "ACCOUNT", "CLIENT", "TOOK", "OUT"], _ended, endedRows,
                r => [Clock(r, time), $"{Of(r, "status")} {Of(r, "end").Replace('_', ' ')}", Of(r, "model"), Of(r, "account"), Of(r, "client"), Span(Number(r, "durationMs")), Of(r, "outputTokens")]),
            new Text("q or Ctrl-C leaves", new Style(decoration: Decoration.Dim)));
    }

    private string Head()
    {
        JsonElement status = _status!.Value;
        string ready = Of(status, "ready") == "yes" ? "ready" : "not ready: " + Of(status, "ready");
        string waiting = Number(status, "waitingRequests") is > 0 and var n ? string.Create(CultureInfo.InvariantCulture, $", {n} waiting") : "";
        return $"Qwen Proxy {Of(status, "version").Split('+')[0]} at {origin}, {ready}, up {Span(Number(status, "uptimeSeconds") * 1000)}, {Of(status, "runningRequests")} running{waiting}";
    }

    private string Traffic()
    {
        JsonElement minute = _requests!.Value.GetProperty("minute");
        return $"last minute: {Of(minute, "requests")} requests, {Of(minute, "failed")} failed, {Of(minute, "inputTokens")} tokens in, {Of(minute, "outputTokens")} out";
    }

    /// <summary>One line for each row, whatever the widths: a list that grows by a line moves everything below it.</summary>
    private static Table List(int width, string[] headers, IReadOnlyList<JsonElement> rows, int most, Func<JsonElement, string[]> cells)
    {
        string[][] texts = [.. rows.Take(most).Select(r => cells(r).Select(PrintableText.Plain).ToArray())];
        if (rows.Count > most && most > 1) texts[^1] = [.. headers.Select((_, i) => i == 0 ? "…" : i == 1 ? string.Create(CultureInfo.InvariantCulture, $"and {rows.Count - most + 1} more") : "")];
        int[] widths = Fit(headers, texts, width);
        Table table = new Table { Border = TableBorder.None, ShowHeaders = true }.Expand();
        foreach ((int i, string header) in headers.Index()) table.AddColumn(new TableColumn(new Text(Cut(header, widths[i]), new Style(decoration: Decoration.Bold))) { NoWrap = true, Width = widths[i], Padding = new Padding(0, 0, 1, 0) });
        foreach (string[] row in texts) table.AddRow(row.Select((cell, i) => new Text(Cut(cell, widths[i]))));
        return table;
    }

    /// <summary>What each column needs, and where that is too much in all, the widest give way.</summary>
    private static int[] Fit(string[] headers, string[][] rows, int width)
    {
        int[] widths = [.. headers.Select((h, i) => rows.Select(r => r[i].Length).Append(h.Length).Max())];
        while (widths.Sum() + widths.Length > width && widths.Max() > 4) widths[Array.IndexOf(widths, widths.Max())]--;
        return widths;
    }

    private static string Cut(string text, int width) => text.Length <= width ? text : width < 2 ? text[..Math.Max(0, width)] : text[..(width - 1)] + "…";

    /// <summary>The state, and the window of its plan that is used most.</summary>
    private static string Says(JsonElement account)
    {
        if (!account.TryGetProperty("quota", out JsonElement quota)) return Of(account, "says");
        JsonElement fullest = quota.GetProperty("windows").EnumerateArray().Where(w => Number(w, "percent") is not null).MaxBy(w => Number(w, "percent"));
        return fullest.ValueKind == JsonValueKind.Undefined ? Of(account, "says") : $"{Of(account, "says")}, {Of(fullest, "window")} {Of(fullest, "percent")} % used";
    }

    private static string Slots(JsonElement account) => account.TryGetProperty("atOnce", out JsonElement most) ? $"{Of(account, "running")} of {most}" : Of(account, "running");

    private static string Of(JsonElement from, string name) => from.TryGetProperty(name, out JsonElement value) ? value.ToString() : "";

    private static double? Number(JsonElement from, string name) => from.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    private static string Clock(JsonElement request, TimeProvider time) => TimeZoneInfo.ConvertTime(request.GetProperty("time").GetDateTimeOffset(), time.LocalTimeZone).ToString("HH:mm:ss", CultureInfo.InvariantCulture);

    private static string Span(double? milliseconds) => milliseconds switch
    {
        null => "",
        < 60_000 and var ms => string.Create(CultureInfo.InvariantCulture, $"{ms / 1000:0.0} s"),
        < 3_600_000 and var ms => string.Create(CultureInfo.InvariantCulture, $"{ms / 60_000:0.0} min"),
        var ms => string.Create(CultureInfo.InvariantCulture, $"{ms / 3_600_000:0.0} h"),
    };

    private static string Bytes(double? count) => count is { } n ? n < 10_000 ? string.Create(CultureInfo.InvariantCulture, $"{n} B") : string.Create(CultureInfo.InvariantCulture, $"{n / 1024:0} KiB") : "";
}
