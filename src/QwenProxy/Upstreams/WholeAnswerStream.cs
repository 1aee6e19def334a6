using QwenProxy.Core.Dialects.OpenAIChat;

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
        ReadOnlySpan<byte> before = "data: "u8, after = "\n\ndata: [DONE]\n\n"u8;
        sse = new byte[before.Length + chunk.Length + after.Length];
        before.CopyTo(sse);
        after.CopyTo(sse.AsSpan(before.Length + chunk.Length));
        // A line end outside a JSON string is white space; inside one it cannot stand.
        Span<byte> data = sse.AsSpan(before.Length, chunk.Length);
        chunk.AsSpan().Replace(data, (byte)'\n', (byte)' ');
        data.Replace((byte)'\r', (byte)' ');
        return true;
    }
}
