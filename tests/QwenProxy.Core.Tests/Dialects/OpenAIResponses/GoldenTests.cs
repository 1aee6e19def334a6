using System.Text;
using System.Text.Json;
using QwenProxy.Core.Requests;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

/// <summary>
/// Each folder of tests/golden/responses: the client's request, the chat request it becomes, an upstream's stream, the stream and the whole answer
/// the client gets. QWEN_PROXY_WRITE_GOLDEN=1 writes the last three anew, to be read before they are committed.
/// </summary>
public sealed class GoldenTests
{
    public static TheoryData<string> Cases => [.. Directory.GetDirectories(Root).Select(d => Path.GetFileName(d)).Order()];

    private static string Root
    {
        get
        {
            string? folder = AppContext.BaseDirectory;
            while (folder is not null && !File.Exists(Path.Combine(folder, "QwenProxy.slnx"))) folder = Path.GetDirectoryName(folder);
            return Path.Combine(folder ?? throw new DirectoryNotFoundException("QwenProxy.slnx"), "tests", "golden", "responses");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Request_BecomesTheChatRequest(string name) => Check(name, "chat.json", Run(name).Chat + "\n");

    /// <summary>The chat request goes the way of every chat request from here on.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void ChatRequest_IsOneThatTheChatDialectReads(string name)
    {
        byte[] body = Run(name).Request.ChatBody;
        Assert.True(ChatRequest.TryParse(body, out ChatRequest request, out string fault), fault);
        Assert.Equal(Run(name).Request.Model, request.Model);
        using JsonDocument json = JsonDocument.Parse(body);
        Assert.Equal(json.RootElement.GetProperty("messages").GetRawText(), Encoding.UTF8.GetString(request.Messages.In(body)));
        if (json.RootElement.TryGetProperty("tools", out JsonElement tools)) Assert.Equal(tools.GetRawText(), Encoding.UTF8.GetString(request.Tools.In(body)));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Stream_IsExact(string name) => Check(name, "responses.sse", Run(name).Stream(Read(name, "upstream.sse")));

    [Theory]
    [MemberData(nameof(Cases))]
    public void WholeAnswer_IsExact(string name) => Check(name, "folded.json", Run(name).Whole(Read(name, "upstream.sse")) + "\n");

    [Theory]
    [MemberData(nameof(Cases))]
    public void Bytes_CutAnywhere_GiveTheSameStream(string name)
    {
        string upstream = Read(name, "upstream.sse");
        string whole = Run(name).Stream(upstream);
        foreach (int size in new[] { 1, 7, 64 }) Assert.Equal(whole, Run(name).Stream(upstream, size));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void LastEvent_HoldsTheWholeAnswer(string name)
    {
        string upstream = Read(name, "upstream.sse");
        JsonElement last = ResponsesRun.ReadEvents(Run(name).Stream(upstream))[^1];
        Assert.Equal(Run(name).Whole(upstream), last.GetProperty("response").GetRawText());
    }

    /// <summary>What a client that believes only in deltas puts together is what a client that believes only in final items reads.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Deltas_AddUpToTheItems(string name)
    {
        List<JsonElement> events = ResponsesRun.ReadEvents(Run(name).Stream(Read(name, "upstream.sse")));
        Dictionary<string, string> texts = [];
        HashSet<string> ended = [];
        foreach (JsonElement e in events)
        {
            string type = ResponsesRun.Type(e);
            if (type == "response.output_item.added") texts.Add(e.GetProperty("item").GetProperty("id").GetString()!, "");
            if (type.EndsWith(".delta", StringComparison.Ordinal)) texts[e.GetProperty("item_id").GetString()!] += e.GetProperty("delta").GetString();
            if (type != "response.output_item.done") continue;
            JsonElement item = e.GetProperty("item");
            ended.Add(item.GetProperty("id").GetString()!);
            Assert.Equal(TextOf(item), texts[item.GetProperty("id").GetString()!]);
        }

        JsonElement output = events[^1].GetProperty("response").GetProperty("output");
        Assert.Equal(texts.Keys, output.EnumerateArray().Select(i => i.GetProperty("id").GetString()!));
        foreach (JsonElement item in output.EnumerateArray())
        {
            bool cutCall = ResponsesRun.Type(item) == "function_call" && item.GetProperty("status").GetString() == "incomplete";
            Assert.Equal(!cutCall, ended.Contains(item.GetProperty("id").GetString()!));
        }
    }

    private static string TextOf(JsonElement item) => ResponsesRun.Type(item) switch
    {
        "message" => item.GetProperty("content")[0].GetProperty("text").GetString()!,
        "reasoning" => item.GetProperty("summary")[0].GetProperty("text").GetString()!,
        "custom_tool_call" => item.GetProperty("input").GetString()!,
        _ => item.GetProperty("arguments").GetString()!,
    };

    private static ResponsesRun Run(string name) => ResponsesRun.Of(Read(name, "request.json"));

    private static string Read(string name, string file) => File.ReadAllText(Path.Combine(Root, name, file));

    private static void Check(string name, string file, string actual)
    {
        string path = Path.Combine(Root, name, file);
        if (Environment.GetEnvironmentVariable("QWEN_PROXY_WRITE_GOLDEN") == "1") File.WriteAllText(path, actual);
        Assert.Equal(File.ReadAllText(path), actual);
    }
}
