using System.Buffers;
using System.Buffers.Text;
using System.Globalization;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Token counts in Anthropic's sense: <see cref="Input"/> is without cached tokens; the chat dialect adds them in.</summary>
internal readonly record struct MessagesUsage(long Input, long CacheRead, long CacheCreation, long Output)
{
    public static MessagesUsage Read(ReadOnlySpan<byte> usage)
    {
        ReadOnlySpan<byte> details = JsonField.Find(usage, "prompt_tokens_details"u8);
        long prompt = Number(usage, "prompt_tokens"u8);
        long read = Number(details, "cached_tokens"u8), created = Number(details, "cache_creation_input_tokens"u8);
        return new MessagesUsage(Math.Max(0, prompt - read - created), read, created, Number(usage, "completion_tokens"u8));
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        Write(output, "{\"input_tokens\":"u8, Input);
        Write(output, ",\"cache_creation_input_tokens\":"u8, CacheCreation);
        Write(output, ",\"cache_read_input_tokens\":"u8, CacheRead);
        Write(output, ",\"output_tokens\":"u8, Output);
        output.Write("}"u8);
    }

    private static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> opening, long number)
    {
        output.Write(opening);
        Span<byte> digits = output.GetSpan(20);
        number.TryFormat(digits, out int length, provider: CultureInfo.InvariantCulture);
        output.Advance(length);
    }

    private static long Number(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) =>
        Utf8Parser.TryParse(JsonField.Find(json, name), out long value, out _) && value > 0 ? value : 0;
}
