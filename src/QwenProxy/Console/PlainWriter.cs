using System.Text;
using QwenProxy.Observability;

namespace QwenProxy.Console;

/// <summary>A writer for people: what it is given may hold words of others, and of control characters only line ends and tabs go through.</summary>
internal sealed class PlainWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Write(value.ToString());

    public override void Write(string? value)
    {
        try
        {
            inner.Write(value is null || value.All(IsPlain) ? value : PrintableText.Replace(value, c => !IsPlain(c)));
        }
        catch (IOException)
        {
            // The terminal is gone, and with it the person: what is being done is still to be ended in order.
        }
    }

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void WriteLine(string? value) => Write(value + Environment.NewLine);

    private static bool IsPlain(char c) => !char.IsControl(c) || c is '\n' or '\r' or '\t';
}
