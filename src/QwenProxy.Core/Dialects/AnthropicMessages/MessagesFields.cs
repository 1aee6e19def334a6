using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>The top level of a request as slices of its body; absent and null members are empty.</summary>
internal ref struct MessagesFields
{
    public ReadOnlySpan<byte> Model;
    public ReadOnlySpan<byte> Messages;
    public ReadOnlySpan<byte> SystemPrompt;
    public ReadOnlySpan<byte> Tools;
    public ReadOnlySpan<byte> ToolChoice;
    public ReadOnlySpan<byte> MaxTokens;
    public ReadOnlySpan<byte> StopSequences;
    public ReadOnlySpan<byte> Temperature;
    public ReadOnlySpan<byte> TopP;
    public ReadOnlySpan<byte> TopK;
    public ReadOnlySpan<byte> Stream;
    public ReadOnlySpan<byte> Thinking;
    public ReadOnlySpan<byte> OutputConfig;
    public ReadOnlySpan<byte> OutputFormat;
    public ReadOnlySpan<byte> CacheControl;

    /// <summary>Checks that the body is JSON and takes what is known; other members are reported as left out.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, Translation translation, out MessagesFields fields)
    {
        fields = default;
        if (!IsJsonObject(body, out string fault)) return translation.Fail(fault);
        JsonScanner members = new(body);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(body);
            if (value.SequenceEqual("null"u8)) continue;
            if (members.NameIs("thread"u8)) return translation.Fail(ThreadFault, MessagesErrors.ThreadUnsupported);
            if (!fields.Take(members, value)) translation.Drop("", members.Name.In(body));
        }

        return true;
    }

    private const string ThreadFault = "Message threads held by the server are not supported; send the whole conversation in \"messages\".";

    /// <summary>The whole body is read once, so that everything after may copy pieces of it without looking.</summary>
    private static bool IsJsonObject(ReadOnlySpan<byte> body, out string fault)
    {
        fault = "The request body is not a JSON object.";
        if (body.IsEmpty)
        {
            fault = "The request body is empty; send a JSON object.";
            return false;
        }

        if (!System.Text.Unicode.Utf8.IsValid(body))
        {
            fault = "The request body is not valid UTF-8.";
            return false;
        }

        try
        {
            Utf8JsonReader reader = new(body, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException e)
        {
            fault = $"The request body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).";
            return false;
        }
    }

    private bool Take(in JsonScanner member, ReadOnlySpan<byte> value)
    {
        if (member.NameIs("model"u8)) Model = value;
        else if (member.NameIs("messages"u8)) Messages = value;
        else if (member.NameIs("system"u8)) SystemPrompt = value;
        else if (member.NameIs("tools"u8)) Tools = value;
        else if (member.NameIs("tool_choice"u8)) ToolChoice = value;
        else if (member.NameIs("max_tokens"u8)) MaxTokens = value;
        else if (member.NameIs("stop_sequences"u8)) StopSequences = value;
        else if (member.NameIs("temperature"u8)) Temperature = value;
        else if (member.NameIs("top_p"u8)) TopP = value;
        else if (member.NameIs("top_k"u8)) TopK = value;
        else if (member.NameIs("stream"u8)) Stream = value;
        else if (member.NameIs("thinking"u8)) Thinking = value;
        else if (member.NameIs("output_config"u8)) OutputConfig = value;
        else if (member.NameIs("output_format"u8)) OutputFormat = value;
        else if (member.NameIs("cache_control"u8)) CacheControl = value;
        else return false;
        return true;
    }
}
