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
            if (!AddBlock(ContentBlock.Read(blocks.Value.In(content)), into, translation)) return false;
        }

        return true;
    }

    public static bool AddBlock(in ContentBlock block, ContentParts into, Translation translation)
    {
        if (!JsonField.IsString(block.Type)) return translation.Fail("Every content block must be an object with a \"type\".");
        bool marked = translation.Options.CacheControl && block.IsMarked;
        if (block.Is("text"u8)) into.AddText(JsonField.Inside(block.Text), marked);
        else if (block.Is("image"u8)) return AddImage(block.Source, into, marked, translation);
        else if (block.Is("document"u8)) return AddDocument(block, into, marked, translation);
        else if (block.Is("search_result"u8)) return AddSearchResult(block, into, marked, translation);
        else if (block.Is("tool_reference"u8)) AddToolReference(block, into, translation);
        else if (block.Is("tool_addition"u8)) AddTool(block.Tool, translation);
        else translation.Drop("block:", block.Type);
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

        if (!translation.RefuseUnreadable) return NoteUnreadable("image", type, into, translation);
        return translation.Fail($"Images with a source of type \"{Short(type)}\" are not supported; send the image as base64 or as a url.");
    }

    /// <summary>A text document becomes text under its title. A PDF has no counterpart, and without it the model has nothing to read.</summary>
    private static bool AddDocument(in ContentBlock block, ContentParts into, bool marked, Translation translation)
    {
        ReadOnlySpan<byte> source = block.Source, type = JsonField.Find(source, "type"u8);
        bool isText = JsonField.StringIs(type, "text"u8);
        if (!isText && !JsonField.StringIs(type, "content"u8))
        {
            ReadOnlySpan<byte> media = JsonField.Find(source, "media_type"u8);
            if (!translation.RefuseUnreadable) return NoteUnreadable("document", media.IsEmpty ? type : media, into, translation);
            string what = JsonField.IsString(media) ? $"type \"{Short(type)}\" ({Short(media)})" : $"type \"{Short(type)}\"";
            return translation.Fail($"Documents with a source of {what} are not supported by this model's API; send the document's text instead.");
        }

        AddHeading(block, into);
        if (isText) into.AddText(JsonField.Inside(JsonField.Find(source, "data"u8)));
        else if (!Read(JsonField.Find(source, "content"u8), into, translation)) return false;
        if (marked) into.MarkLast();
        return true;
    }

    private static bool NoteUnreadable(string kind, ReadOnlySpan<byte> form, ContentParts into, Translation translation)
    {
        translation.Drop("unreadable:" + kind);
        into.AppendText("[Not readable for this model: "u8);
        into.AppendText(System.Text.Encoding.ASCII.GetBytes(kind));
        into.AppendText(" ("u8);
        into.AppendText(JsonField.Inside(form));
        into.AddText(")]"u8);
        return true;
    }

    private static void AddHeading(in ContentBlock document, ContentParts into)
    {
        ReadOnlySpan<byte> title = JsonField.Inside(document.Title);
        ReadOnlySpan<byte> context = JsonField.Inside(document.Context);
        if (!title.IsEmpty)
        {
            into.AppendText("Document: "u8);
            into.AppendText(title);
        }

        if (!title.IsEmpty && !context.IsEmpty) into.AppendText("\\n"u8);
        into.AppendText(context);
        into.EndText();
    }

    private static bool AddSearchResult(in ContentBlock block, ContentParts into, bool marked, Translation translation)
    {
        into.AppendText("Search result: "u8);
        into.AppendText(JsonField.Inside(block.Title));
        into.AppendText(" ("u8);
        into.AppendText(JsonField.Inside(block.Source));
        into.AddText(")"u8);
        if (!Read(block.Content, into, translation)) return false;
        if (marked) into.MarkLast();
        return true;
    }

    private static void AddToolReference(in ContentBlock block, ContentParts into, Translation translation)
    {
        ReadOnlySpan<byte> name = block.ToolName.IsEmpty ? block.Name : block.ToolName;
        translation.LoadedTools.Add(JsonField.Text(name));
        into.AppendText("Tool available now: "u8);
        into.AddText(JsonField.Inside(name));
    }

    /// <summary>A tool that joins in the middle of the conversation: by name, or with its whole definition.</summary>
    private static void AddTool(ReadOnlySpan<byte> tool, Translation translation)
    {
        ReadOnlySpan<byte> definition = JsonField.Find(tool, "definition"u8);
        if (JsonField.IsObject(definition)) translation.InlineTools.Add(definition.ToArray());
        else
        {
            ContentBlock reference = ContentBlock.Read(tool);
            translation.LoadedTools.Add(JsonField.Text(reference.ToolName.IsEmpty ? reference.Name : reference.ToolName));
        }
    }

    private static string Short(ReadOnlySpan<byte> token)
    {
        string text = JsonField.Text(token);
        return text.Length <= 64 ? text : text[..64];
    }
}
