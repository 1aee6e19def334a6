using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// The response object that stands in the first and last events and is the whole answer without a stream. It repeats the request's own fields, token
/// for token, and gives every other field the schema demands a value.
/// </summary>
internal sealed class ResponseObject(ResponsesAnswerOptions options, string id)
{
    private readonly long _createdAt = options.Clock.GetUtcNow().ToUnixTimeSeconds();
    private byte[]? _tail;

    /// <summary>The model's name as the upstream gives it; the request's until then. A JSON string.</summary>
    public byte[] Model { get; set; } = RawJson.Quote(options.Request.Model);

    /// <param name="status"><c>in_progress</c>, <c>completed</c>, <c>incomplete</c> or <c>failed</c>.</param>
    /// <param name="output">The items, each as JSON.</param>
    /// <param name="usage">Null writes null.</param>
    /// <param name="incompleteReason">For <c>incomplete</c>, else empty.</param>
    /// <param name="error">For <c>failed</c>: the error object, else empty.</param>
    public void WriteTo(
        IBufferWriter<byte> json,
        ReadOnlySpan<byte> status,
        IEnumerable<byte[]> output,
        UsageReport? usage,
        ReadOnlySpan<byte> incompleteReason = default,
        ReadOnlySpan<byte> error = default)
    {
        json.Write("{\"id\":"u8);
        json.Write(RawJson.Quote(id));
        json.Write(Ascii($",\"object\":\"response\",\"created_at\":{_createdAt},\"completed_at\":"));
        if (status.SequenceEqual("completed"u8)) json.Write(Ascii($"{options.Clock.GetUtcNow().ToUnixTimeSeconds()}"));
        else json.Write("null"u8);
        json.Write(",\"status\":\""u8);
        json.Write(status);
        json.Write("\",\"error\":"u8);
        json.Write(error.IsEmpty ? "null"u8 : error);
        json.Write(",\"incomplete_details\":"u8);
        if (incompleteReason.IsEmpty) json.Write("null"u8);
        else
        {
            json.Write("{\"reason\":\""u8);
            json.Write(incompleteReason);
            json.Write("\"}"u8);
        }

        json.Write(",\"model\":"u8);
        json.Write(Model);
        json.Write(",\"output\":["u8);
        bool first = true;
        foreach (byte[] item in output)
        {
            if (!first) json.Write(","u8);
            first = false;
            json.Write(item);
        }

        json.Write("],\"usage\":"u8);
        if (usage is null) json.Write("null"u8);
        else usage.Value.WriteTo(json);
        json.Write(_tail ??= WriteTail());
        json.Write("}"u8);
    }

    private static byte[] Ascii(FormattableString text) => Encoding.ASCII.GetBytes(text.ToString(CultureInfo.InvariantCulture));

    /// <summary>What does not change during the answer.</summary>
    private byte[] WriteTail()
    {
        using PooledBytes json = new(4096);
        Echo(json, "instructions"u8, "instructions", "null"u8);
        Echo(json, "max_output_tokens"u8, "max_output_tokens", "null"u8);
        Echo(json, "max_tool_calls"u8, "max_tool_calls", "null"u8);
        Echo(json, "metadata"u8, "metadata", "{}"u8);
        Echo(json, "parallel_tool_calls"u8, "parallel_tool_calls", "true"u8);
        Echo(json, "previous_response_id"u8, "previous_response_id", "null"u8);
        Echo(json, "prompt_cache_key"u8, "prompt_cache_key", "null"u8);
        Echo(json, "safety_identifier"u8, "safety_identifier", "null"u8);
        Echo(json, "service_tier"u8, "service_tier", "\"default\""u8);
        Echo(json, "temperature"u8, "temperature", "1"u8);
        Echo(json, "top_p"u8, "top_p", "1"u8);
        Echo(json, "top_logprobs"u8, "top_logprobs", "0"u8);
        Echo(json, "presence_penalty"u8, "presence_penalty", "0"u8);
        Echo(json, "frequency_penalty"u8, "frequency_penalty", "0"u8);
        Echo(json, "tool_choice"u8, "tool_choice", "\"auto\""u8);
        Echo(json, "truncation"u8, "truncation", "\"disabled\""u8);
        json.Write(",\"background\":false,\"store\":"u8);
        json.Write(options.Request.Store ? "true"u8 : "false"u8);
        json.Write(",\"reasoning\":"u8);
        WriteWith(json, Field("reasoning"), [("effort", "null"), ("summary", "null")]);
        json.Write(",\"text\":"u8);
        WriteWith(json, Field("text"), [("format", "{\"type\":\"text\"}")]);
        json.Write(",\"tools\":["u8);
        bool first = true;
        foreach (RawJson tool in Field("tools").Items())
        {
            if (!first) json.Write(","u8);
            first = false;
            // "strict" is false where the client left it out: nothing here enforces it.
            bool isFunction = tool.Member("type"u8).IsText("function"u8);
            if (isFunction) WriteWith(json, tool, [("description", "null"), ("parameters", "null"), ("strict", "false")]);
            else json.Write(tool.Span);
        }

        json.Write("]"u8);
        return RawJson.Compact(json.Span);
    }

    private RawJson Field(string name) => options.Request.Fields.TryGetValue(name, out RawJson value) ? value : default;

    private void Echo(PooledBytes json, ReadOnlySpan<byte> name, string field, ReadOnlySpan<byte> otherwise)
    {
        RawJson value = Field(field);
        ToolTranslator.WriteMember(json, name, value.IsNothing ? otherwise : value.Span);
    }

    /// <summary>An object as it came, with the members the schema demands added at its end where they are missing.</summary>
    private static void WriteWith(PooledBytes json, RawJson value, ReadOnlySpan<(string Name, string Json)> demanded)
    {
        ReadOnlySpan<byte> inside = value.IsObject ? value.Span[1..^1].Trim(" \t\r\n"u8) : default;
        json.Write("{"u8);
        json.Write(inside);
        bool first = inside.IsEmpty;
        foreach ((string name, string member) in demanded)
        {
            if (!value.Member(Encoding.ASCII.GetBytes(name)).Span.IsEmpty) continue;
            json.Write(Encoding.ASCII.GetBytes($"{(first ? "" : ",")}\"{name}\":{member}"));
            first = false;
        }

        json.Write("}"u8);
    }
}
