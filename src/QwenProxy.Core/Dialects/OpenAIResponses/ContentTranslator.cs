using System.Buffers;
using System.Buffers.Text;
using System.Text.Unicode;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>What a message or a tool's output holds, in chat's terms. Texts are the insides of JSON strings.</summary>
internal sealed class ContentTranslator(Translation translation)
{
    private readonly List<Part> _parts = [];

    /// <summary>The content read last holds more than text.</summary>
    public bool HasMedia => _parts.Exists(p => !p.IsText);

    /// <summary>
    /// Reads a string or a list of parts. What cannot be said in chat is the request's fault: dropping it silently would change the question.
    /// </summary>
    public void Read(RawJson content, string param)
    {
        _parts.Clear();
        if (content.IsString) AddText(content.Inside);
        else if (content.IsArray)
        {
            foreach (RawJson part in content.Items()) ReadPart(part, param);
        }
        else if (content.IsObject) AddEscaped(content.Span);
        else if (!content.IsNothing) translation.Fail("Content must be a string or a list of content parts.", param);
    }

    /// <summary>
    /// One JSON string when there is only text (models without eyes refuse lists, and for the others it says the same), else a list of parts.
    /// </summary>
    public byte[] WriteContent()
    {
        using PooledBytes json = new(1024);
        if (HasMedia) WriteParts(json);
        else
        {
            json.Write("\""u8);
            WriteTexts(json, "\\n"u8);
            json.Write("\""u8);
        }

        return json.Span.ToArray();
    }

    /// <summary>All texts, joined, without quotes.</summary>
    public void WriteTexts(PooledBytes json, ReadOnlySpan<byte> between)
    {
        bool first = true;
        foreach (Part part in _parts)
        {
            if (!part.IsText) continue;
            if (!first) json.Write(between);
            first = false;
            json.Write(part.Json);
        }
    }

    /// <summary>The parts that are not text, as a list behind one line of introduction.</summary>
    public byte[] WriteMedia(ReadOnlySpan<byte> introduction)
    {
        using PooledBytes json = new(1024);
        json.Write("[{\"type\":\"text\",\"text\":\""u8);
        json.Write(introduction);
        json.Write("\"}"u8);
        foreach (Part part in _parts)
        {
            if (part.IsText) continue;
            json.Write(","u8);
            json.Write(part.Json);
        }

        json.Write("]"u8);
        return json.Span.ToArray();
    }

    private void WriteParts(PooledBytes json)
    {
        json.Write("["u8);
        foreach (Part part in _parts)
        {
            if (json.Length > 1) json.Write(","u8);
            if (part.IsText) json.Write("{\"type\":\"text\",\"text\":\""u8);
            json.Write(part.Json);
            if (part.IsText) json.Write("\"}"u8);
        }

        json.Write("]"u8);
    }

    private void ReadPart(RawJson part, string param)
    {
        RawJson type = part.Member("type"u8);
        if (part.Member("text"u8) is { IsString: true } text) AddText(text.Inside);
        else if (type.IsText("refusal"u8)) AddText(part.Member("refusal"u8).Inside);
        else if (type.IsText("input_image"u8) || type.IsText("image_url"u8)) ReadImage(part, param);
        else if (type.IsText("input_file"u8)) ReadFile(part, param);
        else if (type.IsText("input_video"u8) && part.Member("video_url"u8) is { IsString: true } video) AddLink("video_url"u8, video, default);
        else if (type.IsText("input_audio"u8) && part.Member("input_audio"u8) is { IsObject: true } audio)
        {
            AddMedia([.. "{\"type\":\"input_audio\",\"input_audio\":"u8, .. audio.Span, (byte)'}']);
        }
        else translation.Fail($"Content of type '{type.Text()}' cannot be passed on to this model; send text or images.", param);
    }

    private void ReadImage(RawJson part, string param)
    {
        RawJson url = part.Member("image_url"u8);
        if (url.IsObject) url = url.Member("url"u8);
        if (url.IsString) AddLink("image_url"u8, url, part.Member("detail"u8));
        else translation.Fail("An input_image needs an image_url (a data or https URL); uploaded files are not kept here.", param);
    }

    private void AddLink(ReadOnlySpan<byte> kind, RawJson url, RawJson detail)
    {
        using PooledBytes json = new(url.Span.Length + 64);
        json.Write("{\"type\":\""u8);
        json.Write(kind);
        json.Write("\""u8);
        ToolTranslator.WriteMember(json, kind, "{\"url\":"u8);
        json.Write(url.Span);
        if (detail.IsString) ToolTranslator.WriteMember(json, "detail"u8, detail.Span);
        json.Write("}}"u8);
        AddMedia(json.Span.ToArray());
    }

    /// <summary>Chat upstreams read no files, but a file that is text can be shown as text.</summary>
    private void ReadFile(RawJson part, string param)
    {
        ReadOnlySpan<byte> data = part.Member("file_data"u8).Inside;
        int comma = data.StartsWith("data:"u8) ? data.IndexOf((byte)',') : -1;
        if (comma >= 0 && !data[..comma].EndsWith(";base64"u8)) comma = data.Length - 1;
        byte[] decoded = new byte[data.Length];
        OperationStatus status = Base64.DecodeFromUtf8(data[(comma + 1)..], decoded, out _, out int length);
        ReadOnlySpan<byte> text = decoded.AsSpan(0, length);
        if (status != OperationStatus.Done || text.IsEmpty || text.Contains((byte)0) || !Utf8.IsValid(text))
        {
            translation.Fail("An input_file must hold base64 of UTF-8 text in file_data; send other files as text or images.", param);
            return;
        }

        using PooledBytes json = new(length + 128);
        RawJson name = part.Member("filename"u8);
        json.Write("<file"u8);
        if (name.IsString)
        {
            json.Write(" name=\\\""u8);
            json.Write(name.Inside);
            json.Write("\\\""u8);
        }

        json.Write(">\\n"u8);
        JsonText.WriteInside(text, json);
        json.Write("\\n</file>"u8);
        AddText(json.Span);
    }

    /// <summary>JSON in the place of a text (some clients put an object there): shown as it is written.</summary>
    private void AddEscaped(ReadOnlySpan<byte> plain)
    {
        using PooledBytes json = new(plain.Length + 32);
        JsonText.WriteInside(plain, json);
        AddText(json.Span);
    }

    private void AddText(ReadOnlySpan<byte> inside) => _parts.Add(new Part(true, inside.ToArray()));

    private void AddMedia(byte[] json) => _parts.Add(new Part(false, json));

    private readonly record struct Part(bool IsText, byte[] Json);
}
