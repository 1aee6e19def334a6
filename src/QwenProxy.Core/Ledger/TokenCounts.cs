using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenProxy.Core.Ledger;

/// <summary>
/// What an upstream's OpenAI <c>usage</c> object counts. <see cref="Cached"/> and <see cref="CacheWritten"/> are part of <see cref="Input"/>,
/// <see cref="Reasoning"/> is part of <see cref="Output"/>.
/// </summary>
public readonly record struct TokenCounts(long Input, long Output, long Cached = 0, long CacheWritten = 0, long Reasoning = 0)
{
    public static TokenCounts operator +(TokenCounts left, TokenCounts right) => left.Plus(right);

    public TokenCounts Plus(TokenCounts other) => new(
        Input + other.Input, Output + other.Output, Cached + other.Cached, CacheWritten + other.CacheWritten, Reasoning + other.Reasoning);

    /// <summary>Null when the object is empty, is no JSON, or counts neither input nor output.</summary>
    public static TokenCounts? Read(ReadOnlySpan<byte> usage)
    {
        if (usage.IsEmpty) return null;
        long? input = null;
        long? output = null;
        TokenCounts details = default;
        try
        {
            Utf8JsonReader reader = new(usage);
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName) continue;
                bool isTop = reader.CurrentDepth == 1;
                Field field = FieldOf(reader, isTop);
                reader.Read();
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number)) continue;
                switch (field)
                {
                    case Field.Input: input = number; break;
                    case Field.Output: output = number; break;
                    case Field.Cached: details = details with { Cached = number }; break;
                    case Field.CacheWritten: details = details with { CacheWritten = number }; break;
                    case Field.Reasoning: details = details with { Reasoning = number }; break;
                }
            }
        }
        catch (JsonException)
        {
            // Upstream's report is cut or odd: what it would have counted is not known.
            return null;
        }

        return input is null && output is null ? null : details with { Input = input ?? 0, Output = output ?? 0 };
    }

    /// <summary>The same counts as an OpenAI <c>usage</c> object.</summary>
    public byte[] ToChatJson() => Encoding.ASCII.GetBytes(string.Create(
        CultureInfo.InvariantCulture,
        $"{{\"prompt_tokens\":{Input},\"completion_tokens\":{Output},\"total_tokens\":{Input + Output},\"prompt_tokens_details\":{{\"cached_tokens\":{Cached},\"cache_creation_input_tokens\":{CacheWritten}}},\"completion_tokens_details\":{{\"reasoning_tokens\":{Reasoning}}}}}"));

    private static Field FieldOf(in Utf8JsonReader name, bool isTop)
    {
        if (isTop && name.ValueTextEquals("prompt_tokens"u8)) return Field.Input;
        if (isTop && name.ValueTextEquals("completion_tokens"u8)) return Field.Output;
        if (!isTop && name.ValueTextEquals("cached_tokens"u8)) return Field.Cached;
        if (!isTop && name.ValueTextEquals("cache_creation_input_tokens"u8)) return Field.CacheWritten;
        return !isTop && name.ValueTextEquals("reasoning_tokens"u8) ? Field.Reasoning : Field.None;
    }

    private enum Field
    {
        None,
        Input,
        Output,
        Cached,
        CacheWritten,
        Reasoning,
    }
}
