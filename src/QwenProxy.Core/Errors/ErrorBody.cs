using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using QwenProxy.Wire;

namespace QwenProxy.Core.Errors;

internal enum BodyShape
{
    Empty,
    Json,
    WebPage,
    PlainText,
}

/// <summary>
/// What an error body says, whatever its shape: nested (<c>{"error":{…}}</c>), flat (<c>{"code","message"}</c>), a plain string
/// (<c>{"error":"…"}</c>), wrapped in SSE, a web page, text, or nothing. Errors are rare, so this reads with a document, not in place.
/// </summary>
internal sealed record ErrorBody
{
    private const int MaxTextChars = 2000;

    public BodyShape Shape { get; init; }

    public string? Code { get; init; }

    public string? Type { get; init; }

    public string? Message { get; init; }

    public string? Param { get; init; }

    public string? RequestId { get; init; }

    /// <summary>A status named inside: by <c>:HTTP_STATUS</c>, a numeric code or a numeric status. 0 when none is.</summary>
    public int Status { get; init; }

    /// <summary>True when the JSON holds an error object or error text, not just any JSON.</summary>
    public bool NamesError { get; init; }

    /// <summary>More words that tell what kind of error it is but are not shown: an error packed as JSON text inside the message.</summary>
    public string Hidden { get; init; } = "";

    /// <summary>What it says about a <c>max_tokens</c> that is too large; null when it says nothing of that.</summary>
    public OutputLimit? OutputLimit => Errors.OutputLimit.Read($"{Message} {Hidden}");

    public static ErrorBody Read(ReadOnlySpan<byte> body) => Read(body, mayBeSse: true);

    /// <summary>Inside an SSE frame nothing is taken for SSE again: text that only repeats <c>data:</c> would nest without end.</summary>
    private static ErrorBody Read(ReadOnlySpan<byte> body, bool mayBeSse)
    {
        body = Trim(body);
        if (body.IsEmpty) return new ErrorBody { Shape = BodyShape.Empty };
        if (body[0] == '<') return new ErrorBody { Shape = BodyShape.WebPage, Message = Title(Clip(body)) };
        if (mayBeSse && LooksLikeSse(body)) return ReadSse(body);
        return ReadJson(body) ?? new ErrorBody { Shape = BodyShape.PlainText, Message = Clip(body) };
    }

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> body)
    {
        if (body.StartsWith("\uFEFF"u8)) body = body[3..];
        return body.Trim(" \t\r\n"u8);
    }

    private static bool LooksLikeSse(ReadOnlySpan<byte> body) =>
        body.StartsWith("data:"u8) || body.StartsWith("event:"u8) || body.StartsWith("id:"u8) || body.StartsWith("retry:"u8) || body[0] == ':';

    private static ErrorBody ReadSse(ReadOnlySpan<byte> body)
    {
        using SseFrameReader frames = new(int.MaxValue);
        while (!body.IsEmpty)
        {
            Memory<byte> room = frames.GetMemory();
            int count = Math.Min(room.Length, body.Length);
            body[..count].CopyTo(room.Span);
            frames.Advance(count);
            body = body[count..];
        }

        ErrorBody? first = null;
        int status = 0;
        while (frames.TryRead(out SseFrame frame) || frames.TryReadLast(out frame))
        {
            if (frame.HttpStatus != 0) status = frame.HttpStatus;
            if (!frame.HasData || frame.IsDone) continue;
            ErrorBody read = Read(frame.Data.Span, mayBeSse: false);
            if (status >= 400) read = read with { Status = status };
            if (read.NamesError) return read;
            first ??= read;
        }

        return first ?? new ErrorBody { Shape = BodyShape.Empty, Status = status };
    }

    private static ErrorBody? ReadJson(ReadOnlySpan<byte> body)
    {
        if (!Utf8.IsValid(body)) body = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(body));
        try
        {
            Utf8JsonReader reader = new(body);
            JsonElement root = JsonElement.ParseValue(ref reader);
            if (root.ValueKind == JsonValueKind.Array && root.GetArrayLength() > 0) root = root[0];
            if (root.ValueKind == JsonValueKind.String) return new ErrorBody { Shape = BodyShape.Json, Message = Text(root), NamesError = true };
            return root.ValueKind == JsonValueKind.Object ? ReadObject(root) : null;
        }
        catch (JsonException)
        {
            // Not JSON after all: the caller takes it as plain text.
            return null;
        }
    }

    private static ErrorBody ReadObject(JsonElement root)
    {
        JsonElement inner = Inner(root);
        bool nested = inner.ValueKind == JsonValueKind.Object;
        JsonElement source = nested ? inner : root;
        string? errorText = inner.ValueKind == JsonValueKind.String ? Text(inner) : null;
        string? code = Find(source, "code") ?? (nested ? Find(root, "code") : null);
        string? message = Find(source, "message") ?? Find(source, "error_description") ?? Find(source, "detail") ?? Find(source, "msg");
        if (message is null && nested) message = Find(root, "message");
        if (errorText is not null)
        {
            // {"error":"text"} says everything in one string; {"error":"name","message":"text"} uses it as a name.
            if (message is null) message = errorText;
            else code ??= errorText;
        }

        return new ErrorBody
        {
            Shape = BodyShape.Json,
            Code = code,
            Type = Find(source, "type") is { } type && !(type == "error" && !nested) ? type : null,
            Message = message,
            Param = Find(source, "param"),
            RequestId = Find(root, "request_id") ?? Find(source, "request_id") ?? Find(root, "requestId"),
            Status = Number(code) ?? Number(Find(source, "status")) ?? Number(Find(root, "status")) ?? Number(Find(root, "status_code")) ?? 0,
            NamesError = inner.ValueKind != JsonValueKind.Undefined
                || (message is not null && (code is not null || !root.TryGetProperty("choices", out _))),
            Hidden = Unpack(message),
        };
    }

    /// <summary>The value that holds the error; undefined when the object itself is the error.</summary>
    private static JsonElement Inner(JsonElement root)
    {
        if (!root.TryGetProperty("error", out JsonElement inner) || inner.ValueKind is JsonValueKind.Null)
        {
            if (!root.TryGetProperty("errors", out inner)) return default;
            if (inner.ValueKind == JsonValueKind.Array) inner = inner.GetArrayLength() > 0 ? inner[0] : default;
        }

        if (inner.ValueKind is not (JsonValueKind.Object or JsonValueKind.String)) return default;
        // Gateways wrap a second time; the inner one has the words.
        bool wrapped = inner.ValueKind == JsonValueKind.Object && !inner.TryGetProperty("message", out _)
            && inner.TryGetProperty("error", out JsonElement deeper) && deeper.ValueKind == JsonValueKind.Object;
        return wrapped ? inner.GetProperty("error") : inner;
    }

    /// <summary>A non-empty text or number; null when absent, null or empty. Objects and arrays come as their JSON text.</summary>
    private static string? Find(JsonElement from, string name)
    {
        if (!from.TryGetProperty(name, out JsonElement value)) return null;
        string? text = value.ValueKind switch
        {
            JsonValueKind.String => Text(value),
            JsonValueKind.Null or JsonValueKind.Undefined => null,
            _ => value.GetRawText(),
        };
        return string.IsNullOrEmpty(text) ? null : text;
    }

    private static string Text(JsonElement value)
    {
        try
        {
            return value.GetString() ?? "";
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate escape cannot become a string; its raw spelling still tells the story.
            return value.GetRawText().Trim('"');
        }
    }

    private static int? Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 400 and <= 599 ? number : null;

    private static string Unpack(string? message)
    {
        if (message is null || message.Length < 2 || message.TrimStart()[..1] != "{") return "";
        ErrorBody? packed = ReadJson(Encoding.UTF8.GetBytes(message));
        return packed is null ? "" : $"{packed.Code} {packed.Type} {packed.Message}";
    }

    private static string Clip(ReadOnlySpan<byte> body)
    {
        string text = Encoding.UTF8.GetString(body[..Math.Min(body.Length, MaxTextChars * 4)]);
        return text.Length <= MaxTextChars ? text : text[..MaxTextChars];
    }

    private static string? Title(string page)
    {
        int start = page.IndexOf("<title>", StringComparison.OrdinalIgnoreCase);
        int end = start < 0 ? -1 : page.IndexOf("</title>", start, StringComparison.OrdinalIgnoreCase);
        if (end < 0) return null;
        string title = string.Join(' ', page[(start + 7)..end].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return title.Length is 0 ? null : title.Length > 100 ? title[..100] : title;
    }
}
