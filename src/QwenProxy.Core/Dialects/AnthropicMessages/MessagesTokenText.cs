using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Counts the tokens of a plain UTF-8 text.</summary>
public delegate int TokenCounter(ReadOnlySpan<byte> utf8);

/// <summary>
/// The size of a Messages request in the model's tokens, for <c>count_tokens</c>: the text of the chat template is counted, images are an allowance.
/// </summary>
public static class MessagesTokenText
{
    /// <summary>A picture of about a megapixel, whatever the size of this one: that is known only once it is decoded.</summary>
    private const int TokensPerImage = 1200;

    /// <summary>False only when the body is no JSON object.</summary>
    public static bool TryCount(ReadOnlyMemory<byte> body, TokenCounter counter, out int tokens, [NotNullWhen(false)] out ProxyError? fault)
    {
        tokens = 0;
        fault = null;
        Translation translation = new(new MessagesOptions());
        if (!MessagesFields.TryRead(body.Span, translation, out MessagesFields fields))
        {
            fault = translation.Fault!;
            return false;
        }

        using PooledBytes text = new(body.Length);
        TemplateText template = new(text);
        template.Write(fields);
        tokens = counter(text.Span) + (TokensPerImage * template.Images);
        return true;
    }

    /// <summary><c>{"input_tokens":N}</c>.</summary>
    public static byte[] WriteCount(int tokens) =>
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"input_tokens\":{tokens}}}"));
}
