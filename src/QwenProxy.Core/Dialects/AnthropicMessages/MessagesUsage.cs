using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Token counts in Anthropic's sense: <see cref="Input"/> is without what was read from or written to a cache; the chat dialect counts those in.</summary>
internal readonly record struct MessagesUsage(long Input, long CacheRead, long CacheCreation, long Output)
{
    public static MessagesUsage Read(ReadOnlySpan<byte> usage)
    {
        ReadOnlySpan<byte> details = JsonField.Find(usage, "prompt_tokens_details"u8);
        long prompt = Number(usage, "prompt_tokens"u8), read = Number(details, "cached_tokens"u8), created = Number(details, "cache_creation_input_tokens"u8);
        return new MessagesUsage(Math.Max(0, prompt - read - created), read, created, Number(usage, "completion_tokens"u8));
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"{{\"input_tokens\":{Input},\"cache_creation_input_tokens\":{CacheCreation},\"cache_read_input_tokens\":{CacheRead},\"output_tokens\":{Output}}}");
        output.Write(Encoding.ASCII.GetBytes(text));
    }

    private static long Number(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) =>
        Utf8Parser.TryParse(JsonField.Find(json, name), out long value, out _) && value > 0 ? value : 0;
}
