using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace QwenProxy.Observability;

/// <summary>
/// Log lines for a person at a terminal. The line of a request says in 100 columns what one looks for first; all of it is in the log file, on the page and
/// in <c>qwen-proxy requests</c>. Other events come as they are, with the level before those that ask for attention.
/// </summary>
internal sealed class TerminalLogger(Stream output, TimeProvider time) : ILoggerProvider
{
    public const int Columns = 100;

    /// <summary>The start, which a person is told in lines of its own.</summary>
    public const int StartEvent = 20;

    private const int RequestEvent = 1;

    private readonly LineOutput _lines = new(output, time, dropped => $"{dropped} log lines were left out: the terminal did not take them.{Environment.NewLine}");

    public ILogger CreateLogger(string categoryName) => new Writer(this);

    public void Dispose() => _lines.Dispose();

    private void Add(LogLevel level, string text)
    {
        string clock = time.GetLocalNow().ToString("HH:mm:ss", CultureInfo.InvariantCulture);
        string mark = level switch
        {
            LogLevel.Warning => "warning: ",
            LogLevel.Error or LogLevel.Critical => "error: ",
            _ => "",
        };
        // Words of others may stand in it: what would move the cursor or colour the screen does not reach the terminal.
        string line = PrintableText.Replace($"{clock} {mark}{text}{Environment.NewLine}", c => char.IsControl(c) && c is not ('\n' or '\r' or '\t'));
        _lines.Add(Encoding.UTF8.GetBytes(line), atOnce: level >= LogLevel.Error);
    }

    /// <summary>Status and end, how long it took, the route, model and account, and the id as far as there is room for it.</summary>
    private static string ShortOf(IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        string Of(string name)
        {
            for (int i = 0; i < values.Count; i++)
            {
                if (values[i].Key == name) return Convert.ToString(values[i].Value, CultureInfo.InvariantCulture) ?? "";
            }

            return "";
        }

        string seconds = double.TryParse(Of("durationMs"), NumberStyles.Float, CultureInfo.InvariantCulture, out double ms) ? (ms / 1000).ToString("0.0", CultureInfo.InvariantCulture) + " s" : "";
        string served = Of("served");
        string model = served.Length == 0 || served == Of("model") ? Of("model") : $"{Of("model")}→{served}";
        string end = Of("end") == "complete" ? "" : " " + Of("end");
        string tries = Of("attempts") is "0" or "1" ? "" : $" attempts {Of("attempts")}";
        string[] parts = [Of("status") + end, seconds + tries, Cut(Of("path"), 22), Cut(model, 26), Cut(Of("account"), 12), Of("requestId")];
        return string.Join("  ", parts.Where(p => p.Length > 0));
    }

    private static string Cut(string text, int length) => text.Length <= length ? text : text[..(length - 1)] + "…";

    private sealed class Writer(TerminalLogger owner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == StartEvent) return;
            bool isRequest = eventId.Id == RequestEvent && state is IReadOnlyList<KeyValuePair<string, object?>>;
            string text = isRequest ? Cut(ShortOf((IReadOnlyList<KeyValuePair<string, object?>>)state!), Columns - 9) : formatter(state, exception);
            owner.Add(logLevel, exception is null ? text : $"{text}{Environment.NewLine}{exception}");
        }
    }
}
