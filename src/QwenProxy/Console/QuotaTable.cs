using System.Globalization;
using System.Text.Json;

namespace QwenProxy.Console;

/// <summary>The windows of the accounts' plans below the list of accounts, and a line for each that is nearly used up.</summary>
internal static class QuotaTable
{
    private static readonly string[] s_headers = ["ACCOUNT", "WINDOW", "USED", "OF", "LEFT", "RESETS", "AT THIS PACE USED UP"];

    /// <param name="terminal">Where to.</param>
    /// <param name="accounts">The list <c>accounts</c> of the admin API.</param>
    public static void Print(Terminal terminal, JsonElement accounts)
    {
        List<string[]> rows = [];
        foreach (JsonElement account in accounts.EnumerateArray())
        {
            if (!account.TryGetProperty("quota", out JsonElement quota)) continue;
            string name = account.GetProperty("name").GetString()!;
            foreach (JsonElement window in quota.GetProperty("windows").EnumerateArray())
            {
                rows.Add(Row(name, window));
                if (window.GetProperty("level").GetString() is not "ok" and { } level) terminal.Error.WriteLine(Warning(name, level, window));
            }
        }

        if (rows.Count == 0) return;
        terminal.Out.WriteLine();
        TablePrinter.Print(terminal, s_headers, rows);
    }

    private static string[] Row(string account, JsonElement window)
    {
        string counts = window.GetProperty("counts").GetString()!;
        string limit = Number(window, "limit");
        string from = window.GetProperty("limitFrom").GetString() is "learned" ? " (learned)" : "";
        return
        [
            account,
            NameOf(window),
            window.GetProperty("used").ValueKind == JsonValueKind.Null ? "not counted" : $"{Number(window, "used")} {counts}",
            limit.Length == 0 ? "?" : limit + from,
            Number(window, "left"),
            Time(window, "resets"),
            Time(window, "runsOut"),
        ];
    }

    private static string Warning(string account, string level, JsonElement window)
    {
        string resets = Time(window, "resets");
        string runsOut = Time(window, "runsOut");
        return level == "used up"
            ? $"{account}: the {NameOf(window)} quota is used up{(resets.Length > 0 ? $" until {resets}" : "")}."
            : $"{account}: {Number(window, "percent")} % of the {NameOf(window)} quota is used{(runsOut.Length > 0 ? $"; at this pace it is used up {runsOut}" : "")}.";
    }

    private static string NameOf(JsonElement window) => window.GetProperty("window").GetString() + (window.GetProperty("model").GetString() is { } model ? $" {model}" : "");

    private static string Number(JsonElement window, string name) =>
        window.GetProperty(name) is { ValueKind: JsonValueKind.Number } value ? value.GetDecimal().ToString(name == "percent" ? "0" : "0.##", CultureInfo.InvariantCulture) : "";

    private static string Time(JsonElement window, string name) =>
        window.GetProperty(name) is { ValueKind: JsonValueKind.String } value ? value.GetDateTimeOffset().ToString("ddd yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) : "";
}
