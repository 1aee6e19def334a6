using System.Buffers;
using System.Globalization;
using System.Text;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>Token counts as chat reports them, told in this API's words.</summary>
internal readonly record struct UsageReport(long Input, long Cached, long CacheWritten, long Output, long Reasoning, long Total)
{
    /// <summary>Reads a chat <c>usage</c> object. Counts an upstream leaves out are 0; a missing total is the sum.</summary>
    public static UsageReport Read(RawJson usage)
    {
        long input = Count(usage, "prompt_tokens"u8, "input_tokens"u8);
        long output = Count(usage, "completion_tokens"u8, "output_tokens"u8);
        RawJson inputDetails = Either(usage, "prompt_tokens_details"u8, "input_tokens_details"u8);
        RawJson outputDetails = Either(usage, "completion_tokens_details"u8, "output_tokens_details"u8);
        long total = Count(usage, "total_tokens"u8, default);
        long cached = Count(inputDetails, "cached_tokens"u8, default), reasoning = Count(outputDetails, "reasoning_tokens"u8, default);
        long written = Count(inputDetails, "cache_write_tokens"u8, "cache_creation_input_tokens"u8);
        return new UsageReport(input, cached, written, output, reasoning, total > 0 ? total : input + output);
    }

    public void WriteTo(IBufferWriter<byte> json) => json.Write(Encoding.ASCII.GetBytes(string.Create(
        CultureInfo.InvariantCulture,
        $"{{\"input_tokens\":{Input},\"input_tokens_details\":{{\"cached_tokens\":{Cached},\"cache_write_tokens\":{CacheWritten}}},\"output_tokens\":{Output},"
        + $"\"output_tokens_details\":{{\"reasoning_tokens\":{Reasoning}}},\"total_tokens\":{Total}}}")));

    private static RawJson Either(RawJson json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> otherName)
    {
        RawJson value = json.Member(name);
        return value.IsNothing && !otherName.IsEmpty ? json.Member(otherName) : value;
    }

    private static long Count(RawJson json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> otherName)
    {
        ReadOnlySpan<byte> number = Either(json, name, otherName).Span;
        return System.Buffers.Text.Utf8Parser.TryParse(number, out long count, out int used) && used == number.Length ? count : 0;
    }
}
