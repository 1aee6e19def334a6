using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Counts the tokens of a plain UTF-8 text.</summary>
public delegate int TokenCounter(ReadOnlySpan<byte> utf8);

/// <summary>
/// The size of a Messages request in the model's tokens, for <c>count_tokens</c> and for estimates. The words are counted exactly; what the chat
/// template puts around them, and images, are allowances.
/// </summary>
public static class MessagesTokenText
{
    /// <summary>The marks, the role and the line ends around one message.</summary>
    private const int TokensPerMessage = 5;

    /// <summary>The template's own instructions about calling tools.</summary>
    private const int TokensForTools = 140;

    /// <summary>A picture of about a megapixel.</summary>
    private const int TokensPerImage = 1200;

    /// <summary>False only when the body is no JSON object.</summary>
    public static bool TryCount(ReadOnlyMemory<byte> body, TokenCounter counter, out int tokens, [NotNullWhen(false)] out ProxyError? fault)
    {
        tokens = 0;
        Translation translation = new(new MessagesOptions());
        fault = null;
        if (!MessagesFields.TryRead(body.Span, translation, out MessagesFields fields))
        {
            fault = translation.Fault!;
            return false;
        }

        using PooledBytes text = new(body.Length);
        int allowance = CollectFields(fields, text);
        tokens = counter(text.Span) + allowance;
        return true;
    }

    /// <summary>
    /// Appends all words of a request, one text per line, and returns the allowance for everything else in tokens;
    /// -1 for a body that is no JSON object.
    /// </summary>
    public static int Collect(ReadOnlyMemory<byte> body, IBufferWriter<byte> output) =>
        MessagesFields.TryRead(body.Span, new Translation(new MessagesOptions()), out MessagesFields fields) ? CollectFields(fields, output) : -1;

    /// <summary><c>{"input_tokens":N}</c>.</summary>
    public static byte[] WriteCount(int tokens) =>
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"input_tokens\":{tokens}}}"));

    private static int CollectFields(in MessagesFields fields, IBufferWriter<byte> output)
    {
        int allowance = fields.SystemPrompt.IsEmpty ? 0 : TokensPerMessage;
        allowance += CollectContent(fields.SystemPrompt, output);
        if (JsonField.IsArray(fields.Tools)) allowance += CollectTools(fields.Tools, output);
        if (!JsonField.IsArray(fields.Messages)) return allowance;
        JsonScanner items = new(fields.Messages);
        while (items.MoveNext())
        {
            allowance += TokensPerMessage + CollectContent(JsonField.Find(items.Value.In(fields.Messages), "content"u8), output);
        }

        return allowance;
    }

    private static int CollectTools(ReadOnlySpan<byte> tools, IBufferWriter<byte> output)
    {
        int allowance = 0;
        JsonScanner items = new(tools);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> tool = items.Value.In(tools);
            if (!JsonField.IsObject(JsonField.Find(tool, "input_schema"u8))) continue;
            if (JsonField.IsTrue(JsonField.Find(tool, "defer_loading"u8))) continue;
            allowance = TokensForTools;
            AddString(JsonField.Find(tool, "name"u8), output);
            AddString(JsonField.Find(tool, "description"u8), output);
            AddLine(JsonField.Find(tool, "input_schema"u8), output);
        }

        return allowance;
    }

    /// <summary>Returns the allowance for images among the blocks.</summary>
    private static int CollectContent(ReadOnlySpan<byte> content, IBufferWriter<byte> output)
    {
        AddString(content, output);
        if (!JsonField.IsArray(content)) return 0;
        int allowance = 0;
        JsonScanner blocks = new(content);
        while (blocks.MoveNext()) allowance += CollectBlock(blocks.Value.In(content), output);
        return allowance;
    }

    private static int CollectBlock(ReadOnlySpan<byte> block, IBufferWriter<byte> output)
    {
        if (JsonField.StringIs(JsonField.Find(block, "type"u8), "image"u8)) return TokensPerImage;
        AddString(JsonField.Find(block, "title"u8), output);
        AddString(JsonField.Find(block, "context"u8), output);
        AddString(JsonField.Find(block, "text"u8), output);
        AddString(JsonField.Find(block, "thinking"u8), output);
        AddString(JsonField.Find(block, "name"u8), output);
        AddLine(JsonField.Find(block, "input"u8), output);
        ReadOnlySpan<byte> source = JsonField.Find(block, "source"u8);
        if (JsonField.StringIs(JsonField.Find(source, "type"u8), "text"u8)) AddString(JsonField.Find(source, "data"u8), output);
        return CollectContent(JsonField.Find(source, "content"u8), output) + CollectContent(JsonField.Find(block, "content"u8), output);
    }

    private static void AddString(ReadOnlySpan<byte> value, IBufferWriter<byte> output)
    {
        ReadOnlySpan<byte> inside = JsonField.Inside(value);
        if (inside.IsEmpty) return;
        JsonText.Unescape(inside, output);
        output.Write("\n"u8);
    }

    private static void AddLine(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        if (json.IsEmpty) return;
        output.Write(json);
        output.Write("\n"u8);
    }
}
