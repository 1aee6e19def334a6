using QwenProxy.Core.Catalogue;
using QwenProxy.Wire;

namespace QwenProxy.Core.Resume;

/// <summary>
/// The client's chat request with the text it already has as the beginning of the answer. Spliced: every other byte stays. Thinking is
/// switched off, since the model has thought already and would think before the first word of the continuation.
/// </summary>
public static class PrefillRequest
{
    /// <summary>Null when the answer cannot go on this way: no text yet, several choices, a request that ends with an assistant message.</summary>
    public static byte[]? Build(ReadOnlySpan<byte> body, SentAnswer sent, PrefillStyle style)
    {
        if (style == PrefillStyle.None || sent.Overflowed || sent.Choices.Count != 1) return null;
        SentChoice choice = sent.Choices.First();
        if (choice.Content.IsEmpty || choice.Finished) return null;
        Places places = new();
        if (!places.Read(body) || !EndsWithQuestion(body, places.Messages)) return null;
        JsonSplice splice = new();
        splice.Insert(places.Messages.End - 1, Message(choice.Content, style));
        using PooledBytes tail = new(128);
        if (style == PrefillStyle.Partial) Set(splice, tail, places.EnableThinking, "\"enable_thinking\":"u8, "false"u8);
        else
        {
            Set(splice, tail, places.Continue, "\"continue_final_message\":"u8, "true"u8);
            Set(splice, tail, places.GenerationPrompt, "\"add_generation_prompt\":"u8, "false"u8);
            SetTemplateArgument(body, splice, tail, places.TemplateArguments);
        }

        if (tail.Length > 0) splice.Insert(places.End, tail.Span.ToArray());
        using PooledBytes output = new(body.Length + splice.Growth);
        splice.WriteTo(body, output);
        return output.Span.ToArray();
    }

    private static byte[] Message(ReadOnlySpan<byte> content, PrefillStyle style)
    {
        using PooledBytes message = new(content.Length + 64);
        message.Write(",{\"role\":\"assistant\",\"content\":"u8);
        JsonText.WriteString(content, message);
        message.Write(style == PrefillStyle.Partial ? ",\"partial\":true}"u8 : "}"u8);
        return message.Span.ToArray();
    }

    private static void Set(JsonSplice splice, PooledBytes tail, ByteRange place, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (!place.IsEmpty)
        {
            splice.Replace(place, value.ToArray());
            return;
        }

        tail.Write(","u8);
        tail.Write(name);
        tail.Write(value);
    }

    private static void SetTemplateArgument(ReadOnlySpan<byte> body, JsonSplice splice, PooledBytes tail, ByteRange arguments)
    {
        if (arguments.IsEmpty || body[arguments.Start] != '{')
        {
            Set(splice, tail, arguments, "\"chat_template_kwargs\":"u8, "{\"enable_thinking\":false}"u8);
            return;
        }

        JsonScanner members = new(body[..arguments.End], arguments.Start);
        bool any = false;
        while (members.MoveNext())
        {
            any = true;
            if (!members.NameIs("enable_thinking"u8)) continue;
            splice.Replace(members.Value, "false"u8.ToArray());
            return;
        }

        splice.Insert(arguments.End - 1, any ? ",\"enable_thinking\":false"u8.ToArray() : "\"enable_thinking\":false"u8.ToArray());
    }

    /// <summary>The last message is somebody else's than the assistant's: a client's own prefix is not ours to lengthen.</summary>
    private static bool EndsWithQuestion(ReadOnlySpan<byte> body, ByteRange messages)
    {
        ByteRange last = default;
        JsonScanner items = new(body[..messages.End], messages.Start);
        while (items.MoveNext()) last = items.Value;
        if (last.IsEmpty || body[last.Start] != '{') return false;
        JsonScanner members = new(body[..last.End], last.Start);
        while (members.MoveNext())
        {
            if (members.NameIs("role"u8)) return !members.Value.In(body).SequenceEqual("\"assistant\""u8);
        }

        return false;
    }

    private struct Places
    {
        public ByteRange Messages;
        public ByteRange EnableThinking;
        public ByteRange TemplateArguments;
        public ByteRange Continue;
        public ByteRange GenerationPrompt;
        public int End;

        public bool Read(ReadOnlySpan<byte> body)
        {
            JsonScanner members = new(body);
            while (members.MoveNext())
            {
                if (members.NameIs("messages"u8)) Messages = members.Value;
                else if (members.NameIs("enable_thinking"u8)) EnableThinking = members.Value;
                else if (members.NameIs("chat_template_kwargs"u8)) TemplateArguments = members.Value;
                else if (members.NameIs("continue_final_message"u8)) Continue = members.Value;
                else if (members.NameIs("add_generation_prompt"u8)) GenerationPrompt = members.Value;
            }

            End = members.Position - 1;
            return !members.Failed && !Messages.IsEmpty && body[Messages.Start] == '[';
        }
    }
}
