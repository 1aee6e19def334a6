using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Turns an Anthropic Messages request into an OpenAI chat request. Both API versions (2023-06-01 and 2026-10-21) read alike here. Strings are
/// copied in the client's spelling; what has no counterpart is left out and reported; what would silently change the answer's subject is refused.
/// </summary>
public static class MessagesRequestParser
{
    private const int MaxCacheMarkers = 4;

    /// <summary>
    /// Faults are the client's, status 400: no JSON, no model, no <c>max_tokens</c>, unknown roles, documents that cannot
    /// become text, server-held threads.
    /// </summary>
    public static bool TryTranslate(
        ReadOnlyMemory<byte> body,
        MessagesOptions options,
        [NotNullWhen(true)] out MessagesRequest? request,
        [NotNullWhen(false)] out ProxyError? fault)
    {
        Translation translation = new(options);
        request = MessagesFields.TryRead(body.Span, translation, out MessagesFields fields) && Check(fields, translation)
            ? Translate(fields, translation)
            : null;
        fault = request is null ? translation.Fault! : null;
        return request is not null;
    }

    private static bool Check(in MessagesFields fields, Translation translation)
    {
        if (JsonField.Inside(fields.Model).IsEmpty) return translation.Fail("\"model\" must be a non-empty string.", param: "model");
        if (!int.TryParse(fields.MaxTokens, NumberStyles.None, CultureInfo.InvariantCulture, out int maxTokens) || maxTokens == 0)
            return translation.Fail("\"max_tokens\" must be a positive whole number.", param: "max_tokens");
        if (!JsonField.IsArray(fields.Messages) || fields.Messages[1..^1].Trim(" \t\r\n"u8).IsEmpty)
            return translation.Fail("\"messages\" must be a non-empty array.", param: "messages");
        if (!fields.Stream.IsEmpty && !JsonField.IsTrue(fields.Stream) && !fields.Stream.SequenceEqual("false"u8))
            return translation.Fail("\"stream\" must be true or false.", param: "stream");
        if (!fields.StopSequences.IsEmpty && !JsonField.IsArray(fields.StopSequences))
            return translation.Fail("\"stop_sequences\" must be an array of strings.", param: "stop_sequences");
        return true;
    }

    private static MessagesRequest? Translate(in MessagesFields fields, Translation translation)
    {
        using HistoryWriter history = new(translation);
        using ToolWriter tools = new(translation);
        bool markEnd = JsonField.IsObject(fields.CacheControl);
        if (markEnd && !translation.Options.CacheControl) translation.Drop("cache_control");
        if (!history.Write(fields.SystemPrompt, fields.Messages, markEnd && translation.Options.CacheControl)) return null;
        if (!tools.Write(fields.Tools, fields.ToolChoice)) return null;
        List<string> stops = Strings(fields.StopSequences);
        ThinkingRequest thinking = ReadThinking(fields, translation);
        using PooledBytes body = new(history.Output.Bytes.Length + tools.Output.Bytes.Length + 512);
        WriteBody(fields, history, tools, stops.Count > 0, translation, body);
        return new MessagesRequest
        {
            ChatBody = body.Span.ToArray(),
            Model = JsonField.Text(fields.Model),
            Stream = JsonField.IsTrue(fields.Stream),
            Thinking = thinking,
            StopSequences = stops,
            Dropped = translation.Dropped,
            QuirksApplied = translation.Quirks,
        };
    }

    private static void WriteBody(
        in MessagesFields fields, HistoryWriter history, ToolWriter tools, bool hasStops, Translation translation, PooledBytes body)
    {
        // Model Studio honours the last four markers in prompt order, where tools stand before messages.
        int toolMarkers = tools.Output.MarkerCount;
        int surplus = Math.Max(0, toolMarkers + history.Output.MarkerCount - MaxCacheMarkers);
        if (surplus > 0) translation.Apply("cache-markers");
        body.Write("{\"model\":"u8);
        body.Write(fields.Model);
        body.Write(",\"messages\":["u8);
        history.Output.CopyTo(body, surplus - Math.Min(surplus, toolMarkers));
        body.Write("]"u8);
        if (tools.Output.Bytes.Length > 0)
        {
            body.Write(",\"tools\":["u8);
            tools.Output.CopyTo(body, Math.Min(surplus, toolMarkers));
            body.Write("]"u8);
            tools.WriteChoice(fields.ToolChoice, body);
        }

        WriteMember(body, ",\"max_tokens\":"u8, fields.MaxTokens);
        if (hasStops) WriteMember(body, ",\"stop\":"u8, fields.StopSequences);
        WriteMember(body, ",\"temperature\":"u8, fields.Temperature);
        WriteMember(body, ",\"top_p\":"u8, fields.TopP);
        WriteMember(body, ",\"top_k\":"u8, fields.TopK);
        WriteFormat(body, fields, translation);
        body.Write(JsonField.IsTrue(fields.Stream) ? ",\"stream\":true}"u8 : ",\"stream\":false}"u8);
    }

    private static void WriteMember(PooledBytes body, ReadOnlySpan<byte> opening, ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty) return;
        body.Write(opening);
        body.Write(value);
    }

    private static void WriteFormat(PooledBytes body, in MessagesFields fields, Translation translation)
    {
        ReadOnlySpan<byte> format = JsonField.Find(fields.OutputConfig, "format"u8);
        if (format.IsEmpty) format = fields.OutputFormat;
        if (format.IsEmpty) return;
        ReadOnlySpan<byte> schema = JsonField.Find(format, "schema"u8);
        if (!JsonField.StringIs(JsonField.Find(format, "type"u8), "json_schema"u8) || !JsonField.IsObject(schema))
        {
            translation.Drop("output_format");
            return;
        }

        body.Write(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":"u8);
        body.Write(schema);
        body.Write("}}"u8);
    }

    private static ThinkingRequest ReadThinking(in MessagesFields fields, Translation translation)
    {
        ReadOnlySpan<byte> type = JsonField.Find(fields.Thinking, "type"u8);
        ThinkingMode mode = ThinkingMode.Unset;
        if (JsonField.StringIs(type, "enabled"u8)) mode = ThinkingMode.Enabled;
        else if (JsonField.StringIs(type, "adaptive"u8)) mode = ThinkingMode.Adaptive;
        else if (JsonField.StringIs(type, "disabled"u8)) mode = ThinkingMode.Disabled;
        else if (!fields.Thinking.IsEmpty) translation.Drop("thinking");
        bool omitted = JsonField.StringIs(JsonField.Find(fields.Thinking, "display"u8), "omitted"u8);
        ThinkingDisplay display = mode is ThinkingMode.Disabled or ThinkingMode.Unset ? ThinkingDisplay.Hidden : omitted ? ThinkingDisplay.Omitted : ThinkingDisplay.Shown;
        ReadOnlySpan<byte> budgetText = JsonField.Find(fields.Thinking, "budget_tokens"u8);
        bool hasBudget = int.TryParse(budgetText, NumberStyles.None, CultureInfo.InvariantCulture, out int budget) && budget > 0;
        string effort = JsonField.Text(JsonField.Find(fields.OutputConfig, "effort"u8));
        return new ThinkingRequest(mode, mode == ThinkingMode.Enabled && hasBudget ? budget : null, effort.Length > 0 ? effort : null, display);
    }

    private static List<string> Strings(ReadOnlySpan<byte> array)
    {
        List<string> strings = [];
        if (array.IsEmpty) return strings;
        JsonScanner items = new(array);
        while (items.MoveNext())
        {
            string text = JsonField.Text(items.Value.In(array));
            if (text.Length > 0) strings.Add(text);
        }

        return strings;
    }
}
