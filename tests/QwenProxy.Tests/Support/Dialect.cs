namespace QwenProxy.Tests.Support;

/// <summary>The three ways to ask, with the same question.</summary>
internal static class Dialect
{
    public const string Chat = "chat";
    public const string Messages = "messages";
    public const string Responses = "responses";

    public static TheoryData<string> All => [Chat, Messages, Responses];

    public static TheoryData<string, bool> AllBothWays => new() { { Chat, true }, { Chat, false }, { Messages, true }, { Messages, false }, { Responses, true }, { Responses, false } };

    public static string Path(string dialect) => dialect switch
    {
        Messages => "/v1/messages",
        Responses => "/v1/responses",
        _ => "/v1/chat/completions",
    };

    public static string Body(string dialect, bool stream, string model = "m", string question = "hi") => dialect switch
    {
        Messages => $$"""{"model":"{{model}}","max_tokens":9000,"stream":{{Word(stream)}},"messages":[{"role":"user","content":"{{question}}"}]}""",
        Responses => $$"""{"model":"{{model}}","stream":{{Word(stream)}},"input":"{{question}}"}""",
        _ => $$"""{"model":"{{model}}","stream":{{Word(stream)}},"messages":[{"role":"user","content":"{{question}}"}]}""",
    };

    /// <summary>The text of a whole (non-streaming) answer.</summary>
    public static string TextOf(string dialect, string json)
    {
        using System.Text.Json.JsonDocument parsed = System.Text.Json.JsonDocument.Parse(json);
        System.Text.Json.JsonElement root = parsed.RootElement;
        return dialect switch
        {
            Messages => string.Concat(root.GetProperty("content").EnumerateArray().Where(b => b.GetProperty("type").GetString() == "text").Select(b => b.GetProperty("text").GetString())),
            Responses => string.Concat(root.GetProperty("output").EnumerateArray().Where(o => o.GetProperty("type").GetString() == "message").SelectMany(o => o.GetProperty("content").EnumerateArray()).Select(c => c.GetProperty("text").GetString())),
            _ => root.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString() ?? "",
        };
    }

    private static string Word(bool value) => value ? "true" : "false";
}
