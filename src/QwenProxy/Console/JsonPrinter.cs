using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace QwenProxy.Console;

/// <summary>
/// Prints one indented JSON value and a line end. Text is escaped only where JSON asks for it: this goes to terminals and files, not into
/// HTML.
/// </summary>
internal static class JsonPrinter
{
    public static void Print(Terminal terminal, Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            write(writer);
        terminal.Out.WriteLine(Encoding.UTF8.GetString(bytes.GetBuffer().AsSpan(0, (int)bytes.Length)));
    }
}
