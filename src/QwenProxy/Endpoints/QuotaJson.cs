using System.Text.Json;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Quotas;

namespace QwenProxy.Endpoints;

/// <summary>The member <c>quota</c> of an account in <c>/admin/status</c>; docs/dashboard.md tells its shape. An account without windows has none.</summary>
internal static class QuotaJson
{
    public static void Write(Utf8JsonWriter json, AccountSnapshot account, IEnumerable<QuotaStanding> windows, TimeZoneInfo zone)
    {
        QuotaSettings settings = account.Quota ?? QuotaSettings.Of(account.Profile);
        if (settings.Windows.IsEmpty) return;
        json.WriteStartObject("quota");
        json.WriteString("plan", settings.Plan);
        if (settings.Source is not null) json.WriteString("source", settings.Source);
        if (settings.AsOf is { } date) json.WriteString("asOf", date.ToString("O", null));
        if (settings.Reserve is { } reserve) WriteReserve(json, reserve);
        json.WriteStartArray("windows");
        foreach (QuotaStanding window in windows) Write(json, window, zone);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteReserve(Utf8JsonWriter json, QuotaReserve reserve)
    {
        json.WriteStartObject("reserve");
        json.WriteNumber("percent", reserve.Percent);
        json.WriteStartArray("clients");
        foreach (string client in reserve.Clients) json.WriteStringValue(client);
        json.WriteEndArray();
        if (reserve.Priority is { } priority) json.WriteNumber("priority", priority);
        else json.WriteNull("priority");
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, QuotaStanding window, TimeZoneInfo zone)
    {
        json.WriteStartObject();
        json.WriteString("window", window.Window);
        json.WriteString("counts", window.Counts);
        json.WriteString("model", window.Model);
        WriteNumber(json, "limit", window.Limit);
        json.WriteString("limitFrom", window.LimitFrom);
        WriteNumber(json, "used", window.Used);
        WriteNumber(json, "left", window.Left);
        WriteNumber(json, "percent", window.Percent is { } percent ? Math.Round(percent, 1) : null);
        json.WriteString("level", window.Level);
        json.WriteBoolean("slides", window.Slides);
        WriteTime(json, "resets", window.Resets, zone);
        WriteTime(json, "runsOut", window.RunsOut, zone);
        if (window.ReservedFrom is { } from) json.WriteNumber("reservedFrom", from);
        json.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, decimal? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
        else json.WriteNull(name);
    }

    private static void WriteTime(Utf8JsonWriter json, string name, DateTimeOffset? value, TimeZoneInfo zone)
    {
        if (value is { } time) json.WriteString(name, TimeZoneInfo.ConvertTime(time, zone));
        else json.WriteNull(name);
    }
}
