using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// The content of one chat message while it is gathered: texts and images in order. Texts stay in the JSON spelling the client used, so that
/// neither Chinese text nor escapes change on the way.
/// </summary>
internal sealed class ContentParts : IDisposable
{
    private readonly PooledBytes _bytes = new(1024);
    private readonly List<Part> _parts = [];
    private int _textStart = -1;

    public int Count => _parts.Count;

    private bool HasImages => _parts.Exists(p => p.IsImage);

    private bool HasMarkers => _parts.Exists(p => p.Marked);

    public void Clear()
    {
        _bytes.Clear();
        _parts.Clear();
        _textStart = -1;
    }

    /// <summary>Appends to the text being written; <see cref="EndText"/> makes it a part.</summary>
    public void AppendText(ReadOnlySpan<byte> inside)
    {
        if (_textStart < 0) _textStart = _bytes.Length;
        _bytes.Write(inside);
    }

    /// <summary>Ends a text. An empty one is no part: upstreams refuse empty text parts.</summary>
    public void EndText(bool marked = false)
    {
        if (_textStart >= 0 && _bytes.Length > _textStart) _parts.Add(new Part(new ByteRange(_textStart, _bytes.Length - _textStart), false, marked));
        _textStart = -1;
    }

    public void AddText(ReadOnlySpan<byte> inside, bool marked = false)
    {
        AppendText(inside);
        EndText(marked);
    }

    public void AddImageUrl(ReadOnlySpan<byte> urlInside, bool marked) => AddImage(urlInside, default, default, default, marked);

    public void AddImageData(ReadOnlySpan<byte> mediaTypeInside, ReadOnlySpan<byte> base64Inside, bool marked) =>
        AddImage("data:"u8, mediaTypeInside, ";base64,"u8, base64Inside, marked);

    public void MarkLast()
    {
        if (_parts.Count > 0) _parts[^1] = _parts[^1] with { Marked = true };
    }

    /// <summary>Says in words that what follows is an error, unless the text says so itself: the chat dialect has no flag for it.</summary>
    public void MarkAsError()
    {
        ReadOnlySpan<byte> first = _parts.Count > 0 && !_parts[0].IsImage ? _parts[0].Range.In(_bytes.Span) : default;
        if (StartsWith(first, "error"u8) || StartsWith(first, "<tool_use_error"u8)) return;
        int start = _bytes.Length;
        _bytes.Write("Error:"u8);
        _parts.Insert(0, new Part(new ByteRange(start, _bytes.Length - start), false, false));
    }

    /// <summary>Moves images to another message, each with a line that says where it belongs, and leaves a line in their place.</summary>
    public void MoveImagesTo(ContentParts other, ReadOnlySpan<byte> ownerInside)
    {
        for (int i = 0; i < _parts.Count; i++)
        {
            if (!_parts[i].IsImage) continue;
            other.AppendText("Image in the result of tool call "u8);
            other.AppendText(ownerInside);
            other.AddText(":"u8);
            other.AddImageUrl(_parts[i].Range.In(_bytes.Span), false);
            int start = _bytes.Length;
            _bytes.Write("[The image is in the next user message.]"u8);
            _parts[i] = new Part(new ByteRange(start, _bytes.Length - start), false, _parts[i].Marked);
        }
    }

    /// <summary>
    /// Writes the content: one string where there is only text, else an array of parts. With <paramref name="keepParts"/> several texts stay
    /// several parts whether or not they are marked now, because a marker that moves on the next turn must not change how the text reads to the
    /// model: that would lose the very cache it is for.
    /// </summary>
    public void WriteTo(MarkedBytes output, ReadOnlySpan<byte> separator, bool keepParts)
    {
        bool array = HasImages || HasMarkers || (keepParts && _parts.Count > 1);
        if (!array)
        {
            output.Write("\""u8);
            WriteJoined(output, separator);
            output.Write("\""u8);
            return;
        }

        output.Write("["u8);
        if (!HasImages && !keepParts)
        {
            output.Write("{\"type\":\"text\",\"text\":\""u8);
            WriteJoined(output, separator);
            output.Write("\""u8);
            output.WriteMarker();
            output.Write("}"u8);
        }
        else
        {
            for (int i = 0; i < _parts.Count; i++) WritePart(output, _parts[i], i > 0);
        }

        output.Write("]"u8);
    }

    public void Dispose() => _bytes.Dispose();

    private static bool StartsWith(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) =>
        text.Length >= lower.Length && System.Text.Ascii.EqualsIgnoreCase(text[..lower.Length], lower);

    private void AddImage(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c, ReadOnlySpan<byte> d, bool marked)
    {
        int start = _bytes.Length;
        _bytes.Write(a);
        _bytes.Write(b);
        _bytes.Write(c);
        _bytes.Write(d);
        _parts.Add(new Part(new ByteRange(start, _bytes.Length - start), true, marked));
    }

    private void WriteJoined(MarkedBytes output, ReadOnlySpan<byte> separator)
    {
        for (int i = 0; i < _parts.Count; i++)
        {
            if (i > 0) output.Write(separator);
            output.Write(_parts[i].Range.In(_bytes.Span));
        }
    }

    private void WritePart(MarkedBytes output, Part part, bool separate)
    {
        if (separate) output.Write(","u8);
        output.Write(part.IsImage ? "{\"type\":\"image_url\",\"image_url\":{\"url\":\""u8 : "{\"type\":\"text\",\"text\":\""u8);
        output.Write(part.Range.In(_bytes.Span));
        output.Write(part.IsImage ? "\"}"u8 : "\""u8);
        if (part.Marked) output.WriteMarker();
        output.Write("}"u8);
    }

    private readonly record struct Part(ByteRange Range, bool IsImage, bool Marked);
}
