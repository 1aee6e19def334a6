using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>The events of one item, in their order, from its announcement to its end.</summary>
internal sealed class ItemEvents(EventLine line, Func<string> newId, bool sealReasoning)
{
    private int _announced;

    /// <summary>An event that carries the whole response object.</summary>
    public void Response(ReadOnlySpan<byte> type, ReadOnlySpan<byte> response)
    {
        line.Begin(type);
        line.Write(",\"response\":"u8);
        line.Write(response);
        line.End();
    }

    /// <summary>Gives the item its place, whoever announces it.</summary>
    public void Place(OutputItem item, string id)
    {
        item.Id = id;
        item.Announced = true;
        item.Index = _announced++;
        string part = item.Kind switch { OutputKind.Message => ",\"content_index\":0", OutputKind.Reasoning => ",\"summary_index\":0", _ => "" };
        string place = string.Create(CultureInfo.InvariantCulture, $",\"output_index\":{item.Index}{part},\"delta\":");
        item.DeltaHead = [.. ",\"item_id\":"u8, .. RawJson.Quote(id), .. Encoding.ASCII.GetBytes(place)];
    }

    /// <summary>The item that was announced last is not there after all.</summary>
    public void Forget() => _announced--;

    public void Announce(OutputItem item)
    {
        Place(item, Encoding.ASCII.GetString(item.Prefix) + newId());
        WholeItem("response.output_item.added"u8, item, item.Write("in_progress"u8, false, false));
        if (item.Kind == OutputKind.Compaction) return;
        if (item.Kind == OutputKind.Call)
        {
            // A call's arguments may have come before its name.
            if (item.Inside.Length > 0 && item.IsSaidInPieces) WriteDelta(item, [(byte)'"', .. item.Inside.Span, (byte)'"']);
            return;
        }

        Part(item.Kind == OutputKind.Message ? "response.content_part.added"u8 : "response.reasoning_summary_part.added"u8, item, false);
    }

    /// <summary>More of the item's text. <paramref name="token"/> is a JSON string with its quotes.</summary>
    public void Delta(OutputItem item, ReadOnlySpan<byte> token)
    {
        item.Inside.Write(token[1..^1]);
        if (item.Announced && item.IsSaidInPieces) WriteDelta(item, token);
        item.IsEdited |= item.IsPassed;
    }

    /// <summary>Ends an item that was announced.</summary>
    public void Close(OutputItem item, bool incomplete)
    {
        if (item.Closed) return;
        item.Closed = true;
        // Nobody but its upstream knows how such an item ends.
        if (item.Kind == OutputKind.Other) return;
        if (item.Kind == OutputKind.Call && item.Inside.Length == 0 && item.IsSaidInPieces) Delta(item, "\"{}\""u8);
        item.Json = item.Write(incomplete ? "incomplete"u8 : "completed"u8, true, sealReasoning);
        if (!line.IsOn) return;
        switch (item.Kind)
        {
            case OutputKind.Message:
                Text("response.output_text.done"u8, item, "text"u8, Quoted(item));
                line.Write(",\"logprobs\":[]"u8);
                line.End();
                Part("response.content_part.done"u8, item, true);
                break;
            case OutputKind.Reasoning:
                Text("response.reasoning_summary_text.done"u8, item, "text"u8, Quoted(item));
                line.End();
                Part("response.reasoning_summary_part.done"u8, item, true);
                break;
            case OutputKind.Call:
                CloseCall(item);
                break;
        }

        WholeItem("response.output_item.done"u8, item, item.Json);
    }

    private void CloseCall(OutputItem item)
    {
        if (item.Tool.Kind == ToolKind.Search) return;
        if (!item.Tool.IsCustom)
        {
            Text("response.function_call_arguments.done"u8, item, "arguments"u8, Quoted(item));
            ToolName(item);
            line.End();
            return;
        }

        byte[] input = item.CustomInput();
        Text("response.custom_tool_call_input.delta"u8, item, "delta"u8, input);
        line.End();
        Text("response.custom_tool_call_input.done"u8, item, "input"u8, input);
        line.End();
    }

    /// <summary>The event of arguments that are whole names the function as well.</summary>
    private void ToolName(OutputItem item)
    {
        line.Write(",\"name\":"u8);
        line.Write(RawJson.Quote(item.Tool.Name));
    }

    private static byte[] Quoted(OutputItem item) => [(byte)'"', .. item.Inside.Span, (byte)'"'];

    private void WriteDelta(OutputItem item, ReadOnlySpan<byte> token)
    {
        line.Begin(item.Kind switch
        {
            OutputKind.Message => "response.output_text.delta"u8,
            OutputKind.Reasoning => "response.reasoning_summary_text.delta"u8,
            _ => "response.function_call_arguments.delta"u8,
        });
        line.Write(item.DeltaHead);
        line.Write(token);
        if (item.Kind == OutputKind.Message) line.Write(",\"logprobs\":[]"u8);
        line.End();
    }

    /// <summary>Begins an event about the item's text; the caller ends it.</summary>
    private void Text(ReadOnlySpan<byte> type, OutputItem item, ReadOnlySpan<byte> member, ReadOnlySpan<byte> value)
    {
        line.Begin(type);
        line.Write(item.DeltaHead.AsSpan(0, item.DeltaHead.Length - "\"delta\":"u8.Length));
        line.Write("\""u8);
        line.Write(member);
        line.Write("\":"u8);
        line.Write(value);
    }

    private void Part(ReadOnlySpan<byte> type, OutputItem item, bool whole)
    {
        if (!line.IsOn) return;
        using PooledBytes part = new(item.Inside.Length + 128);
        item.WritePart(part, whole);
        Text(type, item, "part"u8, part.Span);
        line.End();
    }

    private void WholeItem(ReadOnlySpan<byte> type, OutputItem item, ReadOnlySpan<byte> json)
    {
        line.Begin(type);
        line.Write(",\"output_index\":"u8);
        line.Number(item.Index);
        line.Write(",\"item\":"u8);
        line.Write(json);
        line.End();
    }
}
