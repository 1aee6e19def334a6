using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Rule <c>billing-block</c>. Claude Code puts a text with its build and entry point before the system prompt, for Anthropic's accounting. It
/// means nothing to another vendor and differs from build to build, so that the prompt's cached prefix would end before it began.
/// </summary>
internal static class BillingBlock
{
    public const string Quirk = "billing-block";

    private static ReadOnlySpan<byte> Opening => "x-anthropic-billing-header:"u8;

    /// <summary>Where that text stands in a whole request, with the comma behind it; empty when there is none.</summary>
    public static ByteRange Find(ReadOnlySpan<byte> body)
    {
        ByteRange system = JsonScanner.Find(body, "system"u8);
        ReadOnlySpan<byte> value = system.In(body);
        if (JsonField.IsString(value))
        {
            ReadOnlySpan<byte> text = JsonField.Inside(value);
            if (!text.StartsWith(Opening)) return default;
            int lineEnd = text.IndexOf("\\n"u8);
            return new ByteRange(system.Start + 1, lineEnd < 0 ? text.Length : lineEnd + 2);
        }

        if (!JsonField.IsArray(value)) return default;
        JsonScanner blocks = new(value);
        if (!blocks.MoveNext() || !JsonField.Inside(JsonField.Find(blocks.Value.In(value), "text"u8)).StartsWith(Opening)) return default;
        ByteRange first = blocks.Value;
        int end = blocks.MoveNext() ? blocks.Value.Start : first.End;
        return new ByteRange(system.Start + first.Start, end - first.Start);
    }

    /// <summary>Reads <c>system</c> without that text: a whole first block, or the first line of a string.</summary>
    public static bool ReadWithout(ReadOnlySpan<byte> system, ContentParts into, Translation translation)
    {
        if (JsonField.IsString(system) && JsonField.Inside(system).StartsWith(Opening))
        {
            translation.Apply(Quirk);
            ReadOnlySpan<byte> text = JsonField.Inside(system);
            int lineEnd = text.IndexOf("\\n"u8);
            if (lineEnd >= 0) into.AddText(text[(lineEnd + 2)..]);
            return true;
        }

        if (!JsonField.IsArray(system)) return ContentReader.Read(system, into, translation);
        JsonScanner blocks = new(system);
        bool first = true;
        while (blocks.MoveNext())
        {
            ContentBlock block = ContentBlock.Read(blocks.Value.In(system));
            bool isBilling = first && JsonField.Inside(block.Text).StartsWith(Opening);
            first = false;
            if (isBilling) translation.Apply(Quirk);
            else if (!ContentReader.AddBlock(block, into, translation)) return false;
        }

        return true;
    }
}
