using System.Buffers;
using System.Buffers.Text;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Writes the SSE events of one stream and numbers them from 0. With no output it writes nothing, so that a whole answer costs no events.
/// </summary>
internal sealed class EventLine(IBufferWriter<byte>? output)
{
    private int _sequence;

    public bool IsOn => output is not null;

    /// <summary>Begins an event; what follows are the rest of its members, each with a comma before it, and <see cref="End"/>.</summary>
    public void Begin(ReadOnlySpan<byte> type)
    {
        if (output is null) return;
        output.Write("event: "u8);
        output.Write(type);
        output.Write("\ndata: {\"type\":\""u8);
        output.Write(type);
        output.Write("\",\"sequence_number\":"u8);
        Number(_sequence++);
    }

    public void Write(ReadOnlySpan<byte> json) => output?.Write(json);

    public void Number(int value)
    {
        if (output is null) return;
        Utf8Formatter.TryFormat(value, output.GetSpan(16), out int written);
        output.Advance(written);
    }

    public void End() => output?.Write("}\n\n"u8);
}
