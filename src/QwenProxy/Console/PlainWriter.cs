using System.Text;
using QwenProxy.Observability;

namespace QwenProxy.Console;

/// <summary>A writer for people: what it is given may hold words of others, and of control characters only line ends and tabs go through.</summary>
internal sealed class PlainWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => inner.Write(IsPlain(value) ? value : '?');

    public override void Write(string? value) => inner.Write(value is null || value.All(IsPlain) ? value : PrintableText.Replace(value, c => !IsPlain(c)));

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void WriteLine(string? value)
    {
        Write(value);
        inner.WriteLine();
    }

    public override void Flush() => inner.Flush();

    private static bool IsPlain(char c) => !char.IsControl(c) || c is '\n' or '\r' or '\t';
}
