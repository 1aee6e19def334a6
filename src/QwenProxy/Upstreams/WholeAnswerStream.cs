using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>
/// Some upstreams answer a request for a stream with one JSON object. It is given the form of a stream of one event, so that repair, translation
/// and the fold have one path; reading a second format in each of them was the alternative.
/// </summary>
internal static class WholeAnswerStream
{
    /// <summary>True when the text is a <c>chat.completion</c>; then <paramref name="sse"/> holds the same answer as one event and an end mark.</summary>
    public static bool TryConvert(ReadOnlyMemory<byte> json, out byte[] sse)
    {
        sse = [];
        if (!ChatCompletionObject.TryToChunk(json.Span, out byte[] chunk)) return false;
        using PooledBytes text = new(chunk.Length + 32);
        text.Write("data: "u8);
        foreach (byte one in chunk)
        {
            // A line end outside a JSON string is white space; inside one it cannot stand.
            text.GetSpan(1)[0] = one is (byte)'\n' or (byte)'\r' ? (byte)' ' : one;
            text.Advance(1);
        }

        text.Write("\n\ndata: [DONE]\n\n"u8);
        sse = text.Span.ToArray();
        return true;
    }
}
