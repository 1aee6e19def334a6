using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace QwenProxy.Observability;

/// <summary>
/// One event as a JSON object, the same on stderr and in the log file: <c>time</c>, <c>level</c>, <c>event</c>, <c>category</c>, <c>message</c>, the message's
/// values by name in <c>fields</c>, so that nobody has to take the message apart, and <c>exception</c>.
/// </summary>
internal static class JsonLogLine
{
    public static void Write<TState>(
        Utf8JsonWriter json, DateTimeOffset time, LogLevel level, int eventId, string category, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        json.WriteStartObject();
        json.WriteString("time"u8, time);
        json.WriteString("level"u8, LevelName(level));
        json.WriteNumber("event"u8, eventId);
        json.WriteString("category"u8, category);
        if (state is IJsonLogEvent self) self.WriteTo(json);
        else
        {
            json.WriteString("message"u8, formatter(state, exception));
            if (state is IReadOnlyList<KeyValuePair<string, object?>> fields) WriteFields(json, fields);
        }

        if (exception is not null) json.WriteString("exception"u8, exception.ToString());
        json.WriteEndObject();
    }

    private static string LevelName(LogLevel level) => level switch
    {
        LogLevel.Trace => "Trace",
        LogLevel.Debug => "Debug",
        LogLevel.Information => "Information",
        LogLevel.Warning => "Warning",
        LogLevel.Error => "Error",
        _ => "Critical",
    };

    private static void WriteFields(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, object?>> fields)
    {
        json.WriteStartObject("fields"u8);
        for (int i = 0; i < fields.Count; i++)
        {
            (string name, object? value) = fields[i];
            if (name == "{OriginalFormat}") continue;
            switch (value)
            {
                case null: json.WriteNull(name); break;
                case bool flag: json.WriteBoolean(name, flag); break;
                case int number: json.WriteNumber(name, number); break;
                case long number: json.WriteNumber(name, number); break;
                case double number when double.IsFinite(number): json.WriteNumber(name, number); break;
                case IEnumerable<string> texts:
                    json.WriteStartArray(name);
                    foreach (string text in texts) json.WriteStringValue(text);
                    json.WriteEndArray();
                    break;
                default: json.WriteString(name, Convert.ToString(value, CultureInfo.InvariantCulture)); break;
            }
        }

        json.WriteEndObject();
    }
}
