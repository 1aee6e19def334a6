using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Reads content blocks that a chat message can carry as text or images. Blocks without a counterpart are left out and reported.</summary>
internal static class ContentReader
{
    /// <summary>A string, an array of blocks, or nothing. False: the translation has a fault.</summary>
    public static bool Read(ReadOnlySpan<byte> content, ContentParts into, Translation translation)
    {
        if (JsonField.IsString(content))
        {
            into.AddText(JsonField.Inside(content));
            return true;
        }

        if (content.IsEmpty) return true;
        if (!JsonField.IsArray(content)) return translation.Fail("\"content\" must be a string or an array of content blocks.");
        JsonScanner blocks = new(content);
        while (blocks.MoveNext())
        {
            if (!AddBlock(blocks.Value.In(content), into, translation)) return false;
        }

        return true;
    }

    public static bool AddBlock(ReadOnlySpan<byte> block, ContentParts into, Translation translation)
    {
        ReadOnlySpan<byte> type = JsonField.Find(block, "type"u8);
        if (!JsonField.IsString(type)) return translation.Fail("Every content block must be an object with a \"type\".");
        bool marked = translation.Options.CacheControl && JsonField.HasCacheMarker(block);
        if (JsonField.StringIs(type, "text"u8)) into.AddText(JsonField.Inside(JsonField.Find(block, "text"u8)), marked);
        else if (JsonField.StringIs(type, "image"u8)) return AddImage(JsonField.Find(block, "source"u8), into, marked, translation);
        else if (JsonField.StringIs(type, "document"u8)) return AddDocument(block, into, marked, translation);
        else if (JsonField.StringIs(type, "search_result"u8)) return AddSearchResult(block, into, marked, translation);
        else if (JsonField.StringIs(type, "tool_reference"u8)) AddToolReference(block, into, translation);
        else if (JsonField.StringIs(type, "tool_addition"u8)) AddTool(JsonField.Find(block, "tool"u8), translation);
        else translation.Drop("block:", type);
        return true;
    }

    private static bool AddImage(ReadOnlySpan<byte> source, ContentParts into, bool marked, Translation translation)
    {
        ReadOnlySpan<byte> type = JsonField.Find(source, "type"u8);
        if (JsonField.StringIs(type, "base64"u8))
        {
            ReadOnlySpan<byte> media = JsonField.Find(source, "media_type"u8), data = JsonField.Find(source, "data"u8);
            if (!JsonField.IsString(media) || !JsonField.IsString(data)) return translation.Fail("A base64 image needs \"media_type\" and \"data\".");
            into.AddImageData(JsonField.Inside(media), JsonField.Inside(data), marked);
            return true;
        }

        if (JsonField.StringIs(type, "url"u8) && JsonField.IsString(JsonField.Find(source, "url"u8)))
        {
            into.AddImageUrl(JsonField.Inside(JsonField.Find(source, "url"u8)), marked);
            return true;
        }

        return translation.Fail($"Images with a source of type \"{Short(type)}\" are not supported; send the image as base64 or as a url.");
    }

    /// <summary>A text document becomes text under its title. A PDF has no counterpart, and without it the model has nothing to read.</summary>
    private static bool AddDocument(ReadOnlySpan<byte> block, ContentParts into, bool marked, Translation translation)
    {
        ReadOnlySpan<byte> source = JsonField.Find(block, "source"u8), type = JsonField.Find(source, "type"u8);
        bool isText = JsonField.StringIs(type, "text"u8);
        if (!isText && !JsonField.StringIs(type, "content"u8))
        {
            ReadOnlySpan<byte> media = JsonField.Find(source, "media_type"u8);
            string what = JsonField.IsString(media) ? $"type \"{Short(type)}\" ({Short(media)})" : $"type \"{Short(type)}\"";
            return translation.Fail($"Documents with a source of {what} are not supported by this model's API; send the document's text instead.");
        }

        AddHeading(block, into);
        if (isText) into.AddText(JsonField.Inside(JsonField.Find(source, "data"u8)));
        else if (!Read(JsonField.Find(source, "content"u8), into, translation)) return false;
        if (marked) into.MarkLast();
        return true;
    }

    private static void AddHeading(ReadOnlySpan<byte> document, ContentParts into)
    {
        ReadOnlySpan<byte> title = JsonField.Inside(JsonField.Find(document, "title"u8));
        ReadOnlySpan<byte> context = JsonField.Inside(JsonField.Find(document, "context"u8));
        if (!title.IsEmpty)
        {
            into.AppendText("Document: "u8);
            into.AppendText(title);
        }

        if (!title.IsEmpty && !context.IsEmpty) into.AppendText("\\n"u8);
        into.AppendText(context);
        into.EndText();
    }

    private static bool AddSearchResult(ReadOnlySpan<byte> block, ContentParts into, bool marked, Translation translation)
    {
        into.AppendText("Search result: "u8);
        into.AppendText(JsonField.Inside(JsonField.Find(block, "title"u8)));
        into.AppendText(" ("u8);
        into.AppendText(JsonField.Inside(JsonField.Find(block, "source"u8)));
        into.AddText(")"u8);
        if (!Read(JsonField.Find(block, "content"u8), into, translation)) return false;
        if (marked) into.MarkLast();
        return true;
    }

    private static void AddToolReference(ReadOnlySpan<byte> block, ContentParts into, Translation translation)
    {
        ReadOnlySpan<byte> name = NameOf(block);
        translation.LoadedTools.Add(JsonField.Text(name));
        into.AppendText("Tool available now: "u8);
        into.AddText(JsonField.Inside(name));
    }

    /// <summary>A tool that joins in the middle of the conversation: by name, or with its whole definition.</summary>
    private static void AddTool(ReadOnlySpan<byte> tool, Translation translation)
    {
        ReadOnlySpan<byte> definition = JsonField.Find(tool, "definition"u8);
        if (JsonField.IsObject(definition)) translation.InlineTools.Add(definition.ToArray());
        else translation.LoadedTools.Add(JsonField.Text(NameOf(tool)));
    }

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> reference)
    {
        ReadOnlySpan<byte> name = JsonField.Find(reference, "tool_name"u8);
        return name.IsEmpty ? JsonField.Find(reference, "name"u8) : name;
    }

    private static string Short(ReadOnlySpan<byte> token)
    {
        string text = JsonField.Text(token);
        return text.Length <= 64 ? text : text[..64];
    }
}
