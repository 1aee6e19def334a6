using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Writes the SSE events of one stream and numbers them from 0. With no output it writes nothing, so that a whole answer costs no events.
/// </summary>
internal sealed class EventLine(IBufferWriter<byte>? output)
{
    private int _sequence;
    private bool _renumbers;

    public bool IsOn => output is not null;

    /// <summary>Begins an event; what follows are the rest of its members, each with a comma before it, and <see cref="End"/>.</summary>
    public void Begin(ReadOnlySpan<byte> type)
    {
        if (output is null) return;
        _renumbers = true;
        output.Write("event: "u8);
        output.Write(type);
        output.Write("\ndata: {\"type\":\""u8);
        output.Write(type);
        output.Write("\",\"sequence_number\":"u8);
        Number(_sequence++);
    }

    /// <summary>Passes on upstream's own frame, with the edits and the number that is its own here.</summary>
    /// <param name="e">The event.</param>
    /// <param name="edits">Edits of its data; the number is added to them.</param>
    public void Pass(ChatEvent e, JsonSplice edits)
    {
        if (output is null) return;
        ByteRange place = e.Frame.NumberPlace;
        bool numbered = Utf8Parser.TryParse(place.In(e.Data.Span), out int its, out int read) && read == place.Length;
        if (numbered && !_renumbers) _sequence = its;
        else if (!place.IsEmpty && its != _sequence) edits.Replace(place, Encoding.ASCII.GetBytes(_sequence.ToString(CultureInfo.InvariantCulture)));
        _sequence++;
        RawFrame.Write(e, edits, output);
    }

    /// <summary>A frame of upstream's was left out or another was put between: from here on its numbers are not ours.</summary>
    public void Renumber() => _renumbers = true;

    /// <summary>A frame without a number: a comment.</summary>
    public void PassIdle(ChatEvent e)
    {
        if (output is not null) RawFrame.Write(e.Raw.Span, output);
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
