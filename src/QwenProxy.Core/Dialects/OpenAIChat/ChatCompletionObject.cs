using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>A whole <c>chat.completion</c> object, as upstreams that cannot stream send it.</summary>
public static class ChatCompletionObject
{
    /// <summary>
    /// The same answer as a chunk: each choice's <c>message</c> is renamed <c>delta</c>, each tool call gets its index, everything else stays as
    /// it came. False when the text is no such object (an error, another kind of answer).
    /// </summary>
    public static bool TryToChunk(ReadOnlySpan<byte> json, out byte[] chunk)
    {
        chunk = [];
        JsonSplice splice = new();
        bool hasChoices = false;
        JsonScanner top = new(json);
        while (top.MoveNext())
        {
            if (top.NameIs("error"u8) && json[top.Value.Start] is (byte)'{' or (byte)'"') return false;
            if (top.NameIs("object"u8)) splice.Replace(top.Value, "\"chat.completion.chunk\""u8.ToArray());
            if (!top.NameIs("choices"u8) || json[top.Value.Start] != '[') continue;
            hasChoices = true;
            JsonScanner choices = new(json[..top.Value.End], top.Value.Start);
            while (choices.MoveNext()) EditChoice(json, choices.Value, splice);
        }

        if (!hasChoices || !top.AtEnd()) return false;
        using PooledBytes text = new(json.Length + splice.Growth + 16);
        splice.WriteTo(json, text);
        chunk = text.Span.ToArray();
        return true;
    }

    private static void EditChoice(ReadOnlySpan<byte> json, ByteRange choice, JsonSplice splice)
    {
        JsonScanner members = new(json[..choice.End], choice.Start);
        while (members.MoveNext())
        {
            if (!members.NameIs("message"u8)) continue;
            splice.Replace(members.Name, "\"delta\""u8.ToArray());
            if (json[members.Value.Start] != '{') continue;
            JsonScanner message = new(json[..members.Value.End], members.Value.Start);
            while (message.MoveNext())
            {
                if (message.NameIs("tool_calls"u8) && json[message.Value.Start] == '[') IndexCalls(json, message.Value, splice);
            }
        }
    }

    private static void IndexCalls(ReadOnlySpan<byte> json, ByteRange list, JsonSplice splice)
    {
        int index = 0;
        JsonScanner calls = new(json[..list.End], list.Start);
        while (calls.MoveNext())
        {
            if (json[calls.Value.Start] != '{') continue;
            bool has = false;
            bool any = false;
            JsonScanner members = new(json[..calls.Value.End], calls.Value.Start);
            while (members.MoveNext())
            {
                any = true;
                has |= members.NameIs("index"u8);
            }

            if (!has) splice.Insert(calls.Value.Start + 1, System.Text.Encoding.ASCII.GetBytes($"\"index\":{index}{(any ? "," : "")}"));
            index++;
        }
    }
}
