using System.Text;

namespace QwenProxy.Core.Tests.Requests.Quirks;

/// <summary>
/// A chat request made by chance: every shape some rule knows, among fields nobody knows, with white space wherever JSON allows it.
/// </summary>
internal sealed class RandomRequest(Random random)
{
    private static readonly string[] Fields =
    [
        "\"max_tokens\": 999999", "\"max_tokens\":null", "\"max_completion_tokens\":77", "\"metadata\":{\"a\":[1]}",
        "\"enable_thinking\":true", "\"enable_thinking\":false",
        "\"thinking_budget\":5", "\"reasoning_effort\":\"minimal\"", "\"reasoning_effort\":\"none\"", "\"reasoning_effort\":\"max\"",
        "\"reasoning\":{\"effort\":\"low\"}",
        "\"tool_choice\":\"required\"", "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}", "\"tools\":[]",
        "\"parallel_tool_calls\":false",
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}},\"cache_control\":{\"type\":\"ephemeral\"}},"
            + "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]",
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}},\"odd\",7]",
        "\"response_format\":{\"type\":\"json_object\"}",
        "\"chat_template_kwargs\":{\"x\":1}", "\"chat_template_kwargs\":\"odd\"", "\"preserve_thinking\":true", "\"preserve_thinking\":false",
        "\"stream\":true",
    ];

    private int _unknown;

    /// <summary>Members nobody knows, as written; each must come out as it went in.</summary>
    public List<string> Unknown { get; } = [];

    public string Next(bool clean = false)
    {
        List<string> members = ["\"model\":\"m\""];
        for (int i = random.Next(4); i > 0 && !clean; i--) members.Add(Pick(Fields));
        for (int i = random.Next(4); i > 0; i--) members.Add(UnknownMember());
        if (random.Next(10) > 0) members.Add("\"messages\"" + Space() + ":" + Space() + (clean ? CleanMessages() : Messages()));
        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(members));
        return Space() + "{" + Space() + string.Join(Space() + "," + Space(), members) + Space() + "}" + Space();
    }

    private string UnknownMember()
    {
        string value = Pick("1.0e+5", "\"\\u00e9\\/\"", "[ {\"role\":\"developer\"} ]", "null", "{ \"cache_control\" : 1 }");
        string member = $"\"x{_unknown++}\"{Space()}:{Space()}{value}";
        Unknown.Add(member);
        return member;
    }

    private string Messages()
    {
        StringBuilder text = new("[" + Space());
        int count = random.Next(9);
        for (int i = 0; i < count; i++) text.Append(i > 0 ? Space() + "," + Space() : "").Append(Message());
        return text.Append(Space() + "]").ToString();
    }

    private string Message()
    {
        string role = Pick("system", "developer", "user", "assistant", "assistant", "tool", "tool", "critic");
        List<string> members = [$"\"role\":{Space()}\"{role}\"", "\"content\":" + Content()];
        if (random.Next(3) == 0) members.Add(UnknownMember());
        if (role == "tool" && random.Next(5) > 0) members.Add($"\"tool_call_id\":\"c{random.Next(3)}\"");
        if (role == "assistant" && random.Next(2) == 0) members.Add("\"tool_calls\":[" + Calls() + "]");
        if (role == "assistant" && random.Next(3) == 0) members.Add("\"reasoning_content\":\"t\"");
        if (role == "assistant" && random.Next(3) == 0) members.Add(Pick("\"reasoning\":\"t\"", "\"reasoning\":null"));
        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(members));
        return "{" + Space() + string.Join(Space() + ",", members) + Space() + "}";
    }

    private string Calls() => string.Join(",", Enumerable.Range(0, random.Next(3)).Select(_ => Call()));

    private string Call()
    {
        string arguments = Pick("\"{}\"", "\"{\\\"a\\\":1}\"", "\"\"", "null", "{\"a\":1}", "\"{\\\"a\\\":[\\\"x\"", "\"\\\"{}\\\"\"");
        string member = Pick("", ",\"arguments\":" + arguments);
        return "{\"id\":\"c" + random.Next(3) + "\",\"type\":\"function\",\"function\":{\"name\":\"f\"" + member + "}}";
    }

    private string Content() => Pick(
        "\"text \\u4e2d\"", "\"\"", "null", "[]",
        "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"\",\"cache_control\":{\"type\":\"ephemeral\"}}]",
        "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}]", "[ \"odd\" , 5 ]");

    /// <summary>A conversation as every upstream but the portal takes it.</summary>
    private string CleanMessages()
    {
        StringBuilder text = new("[" + Space() + "{\"role\":\"system\",\"content\":\"s\"}");
        for (int i = random.Next(4); i >= 0; i--)
        {
            text.Append(Space() + "," + Space() + "{" + UnknownMember() + ",\"role\":\"user\",\"content\":\"u\"}");
            text.Append(",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[");
            text.Append("{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{ \\\"x\\\" :1}\"}}]}");
            text.Append(Space() + ",{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"r\"}");
        }

        return text.Append(Space() + "]").ToString();
    }

    private string Space() => Pick("", "", "", " ", "\n  ");

    private string Pick(params string[] choices) => choices[random.Next(choices.Length)];
}
