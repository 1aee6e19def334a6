using System.Text.Json;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>Reads the frames of the OpenAI chat dialect. Fields it does not know are skipped and stay in the bytes. It remembers nothing.</summary>
public sealed class ChatEventDecoder : EventReader
{
    /// <summary>One serves all streams.</summary>
    public static ChatEventDecoder Shared { get; } = new();

    public override WireDialect Dialect => WireDialect.OpenAIChat;

    public static void Decode(in SseFrame frame, ChatEvent chatEvent) => Shared.Read(frame, chatEvent);

    public override bool TryToStream(ReadOnlySpan<byte> whole, PooledBytes stream)
    {
        if (!ChatCompletionObject.TryToChunk(whole, out byte[] chunk)) return false;
        WriteFrame(stream, default, chunk);
        WriteFrame(stream, default, "[DONE]"u8);
        return true;
    }

    protected override EventKind ReadData(ChatEvent chatEvent, bool isError)
    {
        ReadOnlySpan<byte> data = chatEvent.Data.Span;
        try
        {
            Utf8JsonReader reader = new(data);
            if (!reader.Read()) return EventKind.Silent;
            if (reader.TokenType != JsonTokenType.StartObject) return Unreadable(chatEvent, isError);
            bool flatError = ReadTop(ref reader, chatEvent);
            if (reader.Read()) return EventKind.Broken;
            if (chatEvent.Error.IsEmpty && (isError || (flatError && chatEvent.Choices.IsEmpty))) chatEvent.Error = new ByteRange(0, data.Length);
            return chatEvent.Error.IsEmpty ? EventKind.Chunk : EventKind.Error;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The reader throws the latter when it compares a name that holds half a surrogate pair.
            return Unreadable(chatEvent, isError);
        }
    }

    /// <summary>Returns true when the object looks like DashScope's flat error: a string <c>code</c> and a <c>message</c> at the top.</summary>
    private static bool ReadTop(ref Utf8JsonReader reader, ChatEvent e)
    {
        bool code = false, message = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                reader.Read();
                int start = (int)reader.TokenStartIndex;
                if (reader.TokenType == JsonTokenType.StartArray) ReadChoices(ref reader, e);
                else reader.Skip();
                e.Choices = new ByteRange(start, (int)reader.BytesConsumed - start);
            }
            else if (reader.ValueTextEquals("id"u8)) e.Id = Value(ref reader);
            else if (reader.ValueTextEquals("model"u8)) e.Model = Value(ref reader);
            else if (reader.ValueTextEquals("usage"u8)) e.Usage = Value(ref reader);
            else if (reader.ValueTextEquals("error"u8)) e.Error = Value(ref reader);
            else if (reader.ValueTextEquals("code"u8)) code = !Value(ref reader).IsEmpty;
            else if (reader.ValueTextEquals("message"u8)) message = !Value(ref reader).IsEmpty;
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        return code && message;
    }

    private static void ReadChoices(ref Utf8JsonReader reader, ChatEvent e)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            e.ChoiceCount++;
            if (reader.TokenType == JsonTokenType.StartObject) ReadChoice(ref reader, e);
            else reader.Skip();
        }
    }

    private static void ReadChoice(ref Utf8JsonReader reader, ChatEvent e)
    {
        int firstPart = e.Parts.Length;
        int choice = 0;
        bool firstKey = true;
        ByteRange finish = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("delta"u8) || reader.ValueTextEquals("message"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.StartObject) ReadDelta(ref reader, e);
                else reader.Skip();
            }
            else if (reader.ValueTextEquals("index"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.Number) reader.TryGetInt32(out choice);
                else reader.Skip();
            }
            else if (reader.ValueTextEquals("finish_reason"u8))
            {
                if (firstKey && e.ChoiceCount == 1) e.FinishReasonFirst = true;
                finish = Value(ref reader);
            }
            else if (reader.ValueTextEquals("logprobs"u8) && e.ChoiceCount == 1) e.Logprobs = Value(ref reader);
            else
            {
                reader.Read();
                reader.Skip();
            }

            firstKey = false;
        }

        if (!finish.IsEmpty)
        {
            // "" and the word null are no reasons, but a client may take them for one: they leave the event.
            bool none = finish.In(e.Data.Span) is var reason && (reason.SequenceEqual("\"\""u8) || reason.SequenceEqual("\"null\""u8));
            e.AddOriginal(new EventPart { Kind = PartKind.Finish, Place = PartPlace.Original, Value = finish, ToolIndex = -1, Removed = none });
        }

        Span<EventPart> parts = e.Parts;
        for (int i = firstPart; i < parts.Length; i++) parts[i].Choice = choice;
    }

    private static void ReadDelta(ref Utf8JsonReader reader, ChatEvent e)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            ByteRange field = new((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
            if (reader.ValueTextEquals("content"u8)) AddText(ref reader, e, PartKind.Content, field);
            else if (reader.ValueTextEquals("reasoning_content"u8) || reader.ValueTextEquals("reasoning"u8)) AddText(ref reader, e, PartKind.Reasoning, field);
            else if (reader.ValueTextEquals("role"u8)) AddText(ref reader, e, PartKind.Role, field);
            else if (reader.ValueTextEquals("tool_calls"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.StartArray) ReadToolCalls(ref reader, e);
                else reader.Skip();
            }
            else e.SaysOther |= SaysSomething(Value(ref reader).In(e.Data.Span));
        }
    }

    /// <summary>A text, list or object with something in it.</summary>
    private static bool SaysSomething(ReadOnlySpan<byte> json) =>
        json.Length > 2 && (json[0] is (byte)'"' or (byte)'[' or (byte)'{') && !json[1..^1].Trim(" \t\r\n"u8).IsEmpty;

    private static void AddText(ref Utf8JsonReader reader, ChatEvent e, PartKind kind, ByteRange field)
    {
        ByteRange value = Value(ref reader);
        if (value.IsEmpty) return;
        if (e.Data.Span[value.Start] != '"')
        {
            e.SaysOther |= SaysSomething(value.In(e.Data.Span));
            return;
        }

        e.AddOriginal(new EventPart { Kind = kind, Place = PartPlace.Original, Value = value, Field = field, ToolIndex = -1 });
    }

    private static void ReadToolCalls(ref Utf8JsonReader reader, ChatEvent e)
    {
        int listStart = (int)reader.TokenStartIndex;
        int firstPart = e.Parts.Length;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }

            EventPart part = new() { Kind = PartKind.ToolCall, Place = PartPlace.Original, ToolIndex = -1 };
            int start = (int)reader.TokenStartIndex;
            ReadToolCall(ref reader, ref part);
            part.Tool = new ByteRange(start, (int)reader.BytesConsumed - start);
            e.AddOriginal(part);
        }

        ByteRange list = new(listStart, (int)reader.BytesConsumed - listStart);
        Span<EventPart> parts = e.Parts;
        for (int i = firstPart; i < parts.Length; i++) parts[i].ToolList = list;
    }

    private static void ReadToolCall(ref Utf8JsonReader reader, ref EventPart part)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("index"u8))
            {
                reader.Read();
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out part.ToolIndex))
                {
                    part.ToolIndex = -1;
                    reader.Skip();
                }
            }
            else if (reader.ValueTextEquals("id"u8)) part.ToolId = Value(ref reader);
            else if (reader.ValueTextEquals("function"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.StartObject) ReadFunction(ref reader, ref part);
                else reader.Skip();
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void ReadFunction(ref Utf8JsonReader reader, ref EventPart part)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8)) part.ToolName = Value(ref reader);
            else if (reader.ValueTextEquals("arguments"u8)) part.ToolArguments = Value(ref reader);
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    /// <summary>The next value's place; empty for null.</summary>
    private static ByteRange Value(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null) return default;
        int start = (int)reader.TokenStartIndex;
        reader.Skip();
        return new ByteRange(start, (int)reader.BytesConsumed - start);
    }
}
