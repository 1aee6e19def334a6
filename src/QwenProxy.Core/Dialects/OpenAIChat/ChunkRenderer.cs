using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>
/// Writes an edited event as chunks of the OpenAI chat dialect: the stages' own parts as chunks in the event's envelope, the original with only
/// the edited strings replaced. What nobody touched (key order, unknown fields, spelling) stays.
/// </summary>
public sealed class ChunkRenderer
{
    private readonly JsonSplice _splice = new();

    /// <summary>Renders into <paramref name="output"/> and lists where each chunk's JSON stands. An event in which nothing speaks any more gives none.</summary>
    /// <param name="e">The event.</param>
    /// <param name="output">Gets the chunks' JSON.</param>
    /// <param name="chunks">Gets their places.</param>
    /// <param name="withOriginal">False leaves out what upstream's own event still says: only the stages' parts are wanted.</param>
    public void Render(ChatEvent e, PooledBytes output, List<ByteRange> chunks, bool withOriginal = true)
    {
        RenderMade(e, PartPlace.Before, output, chunks);
        if (withOriginal && StillSpeaks(e)) Append(output, chunks, o => RenderOriginal(e, o));
        RenderMade(e, PartPlace.After, output, chunks);
    }

    private static void Append(PooledBytes output, List<ByteRange> chunks, Action<PooledBytes> write)
    {
        int start = output.Length;
        write(output);
        chunks.Add(new ByteRange(start, output.Length - start));
    }

    private static bool StillSpeaks(ChatEvent e)
    {
        if (e.IsEnvelope) return false;
        if (!e.Usage.IsEmpty || !e.Error.IsEmpty || e.SaysOther) return true;
        bool hadText = false;
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Place != PartPlace.Original) continue;
            if (part.Removed)
            {
                hadText = true;
                continue;
            }

            if (part.Kind is PartKind.Role or PartKind.Finish or PartKind.ToolCall || e.Text(part).Length > 0) return true;
            hadText |= part.HasNewText;
        }

        return !hadText;
    }

    private void RenderOriginal(ChatEvent e, PooledBytes output)
    {
        _splice.Clear();
        Span<EventPart> parts = e.Parts;
        bool textEdited = false;
        for (int i = 0; i < parts.Length; i++)
        {
            ref readonly EventPart part = ref parts[i];
            if (part.Place != PartPlace.Original) continue;
            if (part.Kind == PartKind.ToolCall)
            {
                EditToolCall(e, i);
                continue;
            }

            if (part.Removed) _splice.Replace(part.Value, part.Kind == PartKind.Content ? "\"\""u8.ToArray() : "null"u8.ToArray());
            else if (part.HasNewText) _splice.Replace(part.Value, Quote(e.Text(part)));
            textEdited |= part.Kind is PartKind.Content or PartKind.Reasoning && (part.Removed || part.HasNewText);
        }

        if (e.HasNewUsage) _splice.Replace(e.Usage, e.UsageJson.ToArray());
        if (textEdited && !e.Logprobs.IsEmpty) _splice.Replace(e.Logprobs, "null"u8.ToArray());
        _splice.WriteTo(e.Data.Span, output);
    }

    /// <summary>A list from which a call was taken out is written anew once, at its first call; an edited call in an otherwise whole list in place.</summary>
    private void EditToolCall(ChatEvent e, int index)
    {
        Span<EventPart> parts = e.Parts;
        ByteRange list = parts[index].ToolList;
        bool first = true, anyRemoved = false, anyLeft = false;
        for (int i = 0; i < parts.Length; i++)
        {
            if (parts[i].Place != PartPlace.Original || parts[i].Kind != PartKind.ToolCall || parts[i].ToolList != list) continue;
            first &= i >= index;
            anyRemoved |= parts[i].Removed;
            anyLeft |= !parts[i].Removed;
        }

        if (!anyRemoved)
        {
            if (IsEditedCall(parts[index])) _splice.Replace(parts[index].Tool, WriteCall(e, parts[index]));
            return;
        }

        if (!first) return;
        if (!anyLeft)
        {
            _splice.Replace(list, "null"u8.ToArray());
            return;
        }

        using PooledBytes text = new(256);
        text.Write("["u8);
        foreach (ref readonly EventPart part in parts)
        {
            if (part.Place != PartPlace.Original || part.Kind != PartKind.ToolCall || part.Removed || part.ToolList != list) continue;
            if (text.Length > 1) text.Write(","u8);
            text.Write(IsEditedCall(part) ? WriteCall(e, part) : part.Tool.In(e.Data.Span));
        }

        text.Write("]"u8);
        _splice.Replace(list, text.Span.ToArray());
    }

    private static bool IsEditedCall(in EventPart part) =>
        part.HasNewText || part.NewToolIndex is not null || part.NewToolId is not null || part.NewToolName is not null;

    private static byte[] WriteCall(ChatEvent e, in EventPart part)
    {
        using PooledBytes text = new(256);
        bool original = part.Place == PartPlace.Original;
        int index = part.NewToolIndex ?? (original ? Math.Max(part.ToolIndex, 0) : 0);
        text.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"index\":{index}")));
        string? id = part.NewToolId ?? (original && part.ToolId.Length > 2 ? e.PlainString(part.ToolId) : null);
        if (!string.IsNullOrEmpty(id))
        {
            text.Write(",\"id\":"u8);
            JsonText.WriteString(Encoding.UTF8.GetBytes(id), text);
        }

        text.Write(",\"type\":\"function\",\"function\":{"u8);
        string? name = part.NewToolName ?? (original && part.ToolName.Length > 2 ? e.PlainString(part.ToolName) : null);
        if (!string.IsNullOrEmpty(name))
        {
            text.Write("\"name\":"u8);
            JsonText.WriteString(Encoding.UTF8.GetBytes(name), text);
            text.Write(","u8);
        }

        text.Write("\"arguments\":"u8);
        JsonText.WriteString(e.Text(part), text);
        text.Write("}}"u8);
        return text.Span.ToArray();
    }

    private void RenderMade(ChatEvent e, PartPlace place, PooledBytes output, List<ByteRange> chunks)
    {
        Span<EventPart> parts = e.Parts;
        for (int i = 0; i < parts.Length; i++)
        {
            if (parts[i].Place != place || parts[i].Removed || parts[i].Kind == PartKind.Withdrawal) continue;
            int start = output.Length;
            RenderMadePart(e, parts[i], output);
            chunks.Add(new ByteRange(start, output.Length - start));
        }
    }

    /// <summary>The event's envelope (id, model, created, …) around one choice that says one thing.</summary>
    private void RenderMadePart(ChatEvent e, in EventPart part, PooledBytes output)
    {
        using PooledBytes choice = new(256);
        choice.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"[{{\"index\":{part.Choice},\"delta\":{{")));
        switch (part.Kind)
        {
            case PartKind.ToolCall:
                choice.Write("\"tool_calls\":["u8);
                choice.Write(WriteCall(e, part));
                choice.Write("]"u8);
                break;
            case PartKind.Content or PartKind.Reasoning or PartKind.Role:
                choice.Write(part.Kind switch { PartKind.Content => "\"content\":"u8, PartKind.Reasoning => "\"reasoning_content\":"u8, _ => "\"role\":"u8 });
                JsonText.WriteString(e.Text(part), choice);
                break;
        }

        choice.Write("},\"finish_reason\":"u8);
        if (part.Kind == PartKind.Finish) JsonText.WriteString(e.Text(part), choice);
        else choice.Write("null"u8);
        choice.Write("}]"u8);
        _splice.Clear();
        if (!e.Usage.IsEmpty) _splice.Replace(e.Usage, "null"u8.ToArray());
        if (e.Choices.IsEmpty)
        {
            // A usage or odd event that a stage had to add words to: its envelope gets choices of its own.
            choice.Write(","u8);
            int brace = e.Data.Span.IndexOf((byte)'{') + 1;
            using PooledBytes named = new(choice.Length + 16);
            named.Write("\"choices\":"u8);
            named.Write(choice.Span);
            _splice.Insert(brace, named.Span.ToArray());
        }
        else _splice.Replace(e.Choices, choice.Span.ToArray());

        _splice.WriteTo(e.Data.Span, output);
    }

    private static byte[] Quote(ReadOnlySpan<byte> utf8)
    {
        using PooledBytes text = new(utf8.Length + 16);
        JsonText.WriteString(utf8, text);
        return text.Span.ToArray();
    }
}
