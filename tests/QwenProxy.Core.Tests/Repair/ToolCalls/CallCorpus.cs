using System.Text;
using System.Text.Json;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>Makes labelled streams: what the model meant, and one of the ways upstreams send it.</summary>
internal sealed class CallCorpus(int seed)
{
    private static readonly string[] Names = ["read_file", "write_file", "run_command", "list_all"];

    private static readonly string[] Prose =
    [
        "I will look at the file first.", "Let me check this.\n\n", "Die Prüfung läuft.", "先看一下文件。", "If a < b then c > d.", "Use `x << 2` here.", "",
            "\n",
        "Steps:\n1. read\n2. write\n", "The set is {a, b}. ", "```py\nif a < b:\n    pass\n```\n", "It's 5 o'clock: ",
    ];

    private static readonly string[] Values =
    [
        "src/main.rs", "", "a", "line one\nline two\n", "{\"json\": [1, 2]}", "<div class=\"x\">\n  <p>1 < 2</p>\n</div>",
            "say \"hi\" \\ back\\slash", "汉字 😀 é", "\ttab\r\nwin\r\n",
        "</parameter> in the middle", "<tool_call> quoted </tool_call> text", "a\n\nb\n\n", "#!/bin/sh\ncat <<EOF\n$x\nEOF\n", "true", "42", "null",
            "  padded  ", "<parameter=odd> x",
        "<function=read_file>", "``` fence ```", "C:\\temp\\new", "\u0001control", "ends with <", "</para",
    ];

    private static readonly string[] Mentions =
    [
        "The model writes <tool_call> tags.", "`<tool_call>{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}}</tool_call>`",
            "use <function=read_file> for that",
        "```xml\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n```",
            "<tool_call>{\"name\": \"nope\", \"arguments\": {\"path\": \"a\"}}</tool_call>",
        "<function=nope>\n<parameter=path>\na\n</parameter>\n</function>", "<tool_call>{\"name\": \"read_file\", \"arguments\": {...}}</tool_call>",
            "a <b c> d </b>", "x << 3 <= y <",
        "<function>read_file</function>", "\"<function=list_all></function>\"", "    <function=list_all></function>\n",
            "</tool_call></function></parameter>", "<?xml version=\"1.0\"?><tool/>",
        "~~~\n<tool_call>\n<function=list_all>\n</function>\n</tool_call>\n~~~\n", "<tool_call>\nsome words\n</tool_call>", "the </tool_call> end",
    ];

    private readonly Random _random = new(seed);

    public const string Tools = """
        [{"type":"function","function":{"name":"read_file","parameters":{"type":"object",
           "properties":{"path":{"type":"string"},"limit":{"type":"integer"},"deep":{"type":"boolean"}}}}},
         {"type":"function","function":{"name":"write_file","parameters":{"type":"object",
           "properties":{"path":{"type":"string"},"content":{"type":"string"},"tags":{"type":"array"}}}}},
         {"type":"function","function":{"name":"run_command","parameters":{"type":"object",
           "properties":{"command":{"type":"string"},"timeout":{"type":["number","null"]},"env":{"type":"object"}}}}},
         {"type":"function","function":{"name":"list_all","parameters":{"type":"object",
           "properties":{}}}}]
        """;

    public sealed record Call(string Name, Dictionary<string, string> Parameters)
    {
        /// <summary>The arguments as JSON; parameter values are JSON texts.</summary>
        public string Json => "{" + string.Join(", ", Parameters.Select(p => $"\"{p.Key}\": {p.Value}")) + "}";
    }

    public int Next(int limit) => _random.Next(limit);

    public Call NewCall(bool forTags)
    {
        string name = Pick(Names);
        Dictionary<string, string> parameters = [];
        switch (name)
        {
            case "read_file":
                parameters["path"] = Text(forTags);
                if (Next(2) == 0) parameters["limit"] = Next(10_000).ToString();
                if (Next(2) == 0) parameters["deep"] = Next(2) == 0 ? "true" : "false";
                break;
            case "write_file":
                parameters["path"] = Sse.Quote("a/b.txt");
                parameters["content"] = Text(forTags);
                if (Next(2) == 0) parameters["tags"] = "[\"x\", {\"y\": \"}]\"}, 3]";
                break;
            case "run_command":
                parameters["command"] = Text(forTags);
                if (Next(2) == 0) parameters["timeout"] = Next(2) == 0 ? "null" : "1.5";
                if (Next(2) == 0) parameters["env"] = "{\"A\": \"<b>\", \"C\": {\"d\": []}}";
                break;
        }

        return new Call(name, parameters);
    }

    /// <summary>A call as text. Forms 0 to 4 are JSON, 5 to 10 tags.</summary>
    public string Leak(Call call, int form)
    {
        string arguments = call.Json;
        string hermes = $"{{\"name\": \"{call.Name}\", \"arguments\": {arguments}}}";
        return form switch
        {
            0 => $"<tool_call>\n{hermes}\n</tool_call>",
            1 => $"<tool_call>{{\"arguments\": {arguments}, \"name\": \"{call.Name}\"}}</tool_call>",
            2 => $"<tool_call>{{\"name\":\"{call.Name}\",\"arguments\":{JsonSerializer.Serialize(arguments)}}}</tool_call>",
            3 => $"<tool_call>\n{hermes}\n",
            4 => $"<tool_call>\n{hermes[..^1]}\n</tool_call>",
            5 => $"<tool_call>\n{Tags(call, "</parameter>\n")}</function>\n</tool_call>",
            6 => $"{Tags(call, "</parameter>\n")}</function>",
            7 => $"<tool_call>\n{Tags(call, "</parameter>\n")}</function>",
            8 => $"<tool_call>\n{Tags(call, "")}",
            9 => $"<tool_call>\n{Tags(call, "</parameter>\n")}",
            _ => $"<tool_call>\n{Tags(call, "")}</function>\n</tool_call>",
        };
    }

    public string Words() => string.Concat(Enumerable.Range(0, 1 + Next(3)).Select(_ => Pick(Prose)));

    public string Negative() => string.Concat(Enumerable.Range(0, 1 + Next(3)).Select(_ => Pick(Prose).TrimEnd('\n') + "\n\n" + Pick(Mentions) +
        "\n"));

    public string[] Cut(string text)
    {
        List<string> pieces = [];
        for (int i = 0; i < text.Length;)
        {
            int end = Math.Min(text.Length, i + 1 + Next(9));
            if (end < text.Length && char.IsLowSurrogate(text[end])) end++;
            pieces.Add(text[i..end]);
            i = end;
        }

        return [.. pieces];
    }

    public T Pick<T>(T[] of) => of[Next(of.Length)];

    /// <summary>The form with tags cannot say everything: what would read as its own end is not used there.</summary>
    private string Text(bool forTags)
    {
        string value = Pick(Values);
        return Sse.Quote(forTags && value is "</para" ? "x" : value);
    }

    private static string Tags(Call call, string close)
    {
        StringBuilder text = new($"<function={call.Name}>\n");
        int left = call.Parameters.Count;
        foreach ((string name, string json) in call.Parameters)
        {
            left--;
            string raw = json[0] == '"' ? JsonDocument.Parse(json).RootElement.GetString()! : json;
            text.Append($"<parameter={name}>\n{raw}\n{(left > 0 ? "</parameter>\n" : close)}");
        }

        return text.ToString();
    }
}
