using System.Text;
using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Simulator.Requests;

/// <summary>
/// A request to generate, whatever its dialect: chat, messages or responses. Only the top level is walked at once; messages and tools
/// are read when a scenario asks, since a benchmark's request may be megabytes that nobody looks at.
/// </summary>
internal sealed class ModelCall
{
    private readonly ReadOnlyMemory<byte> _messages;
    private readonly ReadOnlyMemory<byte> _tools;
    private List<CallMessage>? _readMessages;
    private List<ToolDeclaration>? _readTools;

    private ModelCall(Dictionary<string, ReadOnlyMemory<byte>> members)
    {
        _messages = members.GetValueOrDefault("messages");
        if (_messages.IsEmpty) _messages = members.GetValueOrDefault("input");
        if (_messages.IsEmpty) _messages = members.GetValueOrDefault("prompt");
        _tools = members.GetValueOrDefault("tools");
        Model = Text(members.GetValueOrDefault("model")) ?? "";
        Stream = IsTrue(members, "stream");
        IncludeUsage = Contains(members, "stream_options", "\"include_usage\"") && Contains(members, "stream_options", "true");
        EnableThinking = IsTrue(members, "enable_thinking") || Contains(members, "thinking", "\"enabled\"");
        WantsJson = Contains(members, "response_format", "\"json_") || Contains(members, "text", "\"json_");
        ToolChoice = Raw(members, "tool_choice");
        EncodingFormat = Text(members.GetValueOrDefault("encoding_format")) ?? "float";
        Dimensions = int.TryParse(Raw(members, "dimensions"), out int dimensions) && dimensions is > 0 and <= 4096 ? dimensions : 1024;
    }

    public string Model { get; }

    public bool Stream { get; }

    public bool IncludeUsage { get; }

    public bool EnableThinking { get; }

    public bool WantsJson { get; }

    /// <summary>The JSON of <c>tool_choice</c>, empty when absent.</summary>
    public string ToolChoice { get; }

    public string EncodingFormat { get; }

    public int Dimensions { get; }

    public ReadOnlyMemory<byte> Input => _messages;

    /// <summary>A rough count, four bytes a token: it only has to be the same each time.</summary>
    public int PromptTokens => Math.Max(1, (_messages.Length + _tools.Length + 3) / 4);

    public IReadOnlyList<CallMessage> Messages => _readMessages ??= ReadMessages();

    public IReadOnlyList<ToolDeclaration> Tools => _readTools ??= ReadTools();

    /// <summary>The text of the last user message.</summary>
    public string Question => Messages.LastOrDefault(m => m.Role == "user")?.Text ?? "";

    public int Images => Messages.Sum(m => m.Images);

    public int ToolRounds => Messages.Count(m => m is { Role: "assistant", ToolCalls: > 0 });

    /// <summary>The model is being told what its tools returned.</summary>
    public bool AnswersToolResult => Messages.Count > 0 && Messages[^1].Role == "tool";

    public static ModelCall? Parse(ReadOnlyMemory<byte> body)
    {
        int start = JsonScanner.SkipSpace(body.Span, 0);
        if (start == body.Length || body.Span[start] != '{') return null;
        Dictionary<string, ReadOnlyMemory<byte>> members = [];
        JsonScanner scanner = new(body.Span);
        while (scanner.MoveNext())
        {
            string name = Encoding.UTF8.GetString(body.Span.Slice(scanner.Name.Start + 1, scanner.Name.Length - 2));
            members[name] = body.Slice(scanner.Value.Start, scanner.Value.Length);
        }

        return scanner.AtEnd() ? new ModelCall(members) : null;
    }

    private static string? Text(ReadOnlyMemory<byte> json)
    {
        if (json.Length < 2 || json.Span[0] != '"') return null;
        using PooledBytes text = new(64);
        JsonText.Unescape(json.Span[1..^1], text);
        return Encoding.UTF8.GetString(text.Span);
    }

    private static string Raw(Dictionary<string, ReadOnlyMemory<byte>> members, string name) =>
        Encoding.UTF8.GetString(members.GetValueOrDefault(name).Span);

    private static bool IsTrue(Dictionary<string, ReadOnlyMemory<byte>> members, string name) =>
        members.GetValueOrDefault(name).Span.SequenceEqual("true"u8);

    private static bool Contains(Dictionary<string, ReadOnlyMemory<byte>> members, string name, string part) =>
        members.TryGetValue(name, out ReadOnlyMemory<byte> json) && Encoding.UTF8.GetString(json.Span).Contains(part, StringComparison.Ordinal);

    private List<CallMessage> ReadMessages()
    {
        List<CallMessage> messages = [];
        if (_messages.IsEmpty) return messages;
        if (Text(_messages) is { } prompt)
        {
            messages.Add(new CallMessage("user", prompt, 0, 0, false, []));
            return messages;
        }

        using JsonDocument document = JsonDocument.Parse(_messages);
        if (document.RootElement.ValueKind != JsonValueKind.Array) return messages;
        foreach (JsonElement message in document.RootElement.EnumerateArray()) messages.Add(CallMessage.Read(message));
        return messages;
    }

    private List<ToolDeclaration> ReadTools()
    {
        List<ToolDeclaration> tools = [];
        if (_tools.IsEmpty) return tools;
        using JsonDocument document = JsonDocument.Parse(_tools);
        if (document.RootElement.ValueKind != JsonValueKind.Array) return tools;
        foreach (JsonElement tool in document.RootElement.EnumerateArray())
        {
            if (tool.ValueKind != JsonValueKind.Object) continue;
            JsonElement function = tool.TryGetProperty("function", out JsonElement inner) ? inner : tool;
            if (!function.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String) continue;
            bool hasSchema = function.TryGetProperty("parameters", out JsonElement schema) || function.TryGetProperty("input_schema", out schema);
            tools.Add(new ToolDeclaration(name.GetString()!, hasSchema ? schema.GetRawText() : "{}"));
        }

        return tools;
    }
}
