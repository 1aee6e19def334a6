using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIResponses;
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
        string tools = json.RootElement.TryGetProperty("tools", out JsonElement list) ? list.GetRawText() : "";
        Assert.Equal(tools, Encoding.UTF8.GetString(request.Tools.In(body)));
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

    /// <summary>Whatever a client sends is refused or becomes JSON that upstreams can read; it never throws.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void DamagedRequest_IsRefusedOrStillBecomesJson(string name)
    {
        Random random = new(20260101);
        string[] tokens = ["null", "7", "\"\"", "[]", "{}", "[null]", "{\"type\":7}", "true", "\"\\ud800\"", "}", "\"", ","];
        string whole = Read(name, "request.json");
        int translated = 0;
        for (int i = 0; i < 300; i++)
        {
            // Values begin behind a colon or a comma; one of them, or a part of it, becomes something else.
            int at = whole.IndexOfAny([':', ',', '['], random.Next(whole.Length - 1)) + 1;
            int length = Math.Min(random.Next(40), whole.Length - at);
            int end = random.Next(2) == 0 ? at + length : Math.Max(at, whole.IndexOfAny([',', '\n', '}'], at));
            byte[] body = Encoding.UTF8.GetBytes(string.Concat(whole.AsSpan(0, at), tokens[random.Next(tokens.Length)], whole.AsSpan(end)));
            if (!ResponsesRequestParser.TryTranslate(body, new ResponsesStore().Of(""), out ResponsesRequest? request, out _)) continue;
            translated++;
            JsonDocument.Parse(request.ChatBody).Dispose();
        }

        Assert.InRange(translated, 1, 299);
    }

    /// <summary>Whatever an upstream sends, each event is one line of JSON with its number, and one ending comes last.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void DamagedUpstream_StillGivesAReadableStream(string name)
    {
        Random random = new(20260102);
        byte[] whole = Encoding.UTF8.GetBytes(Read(name, "upstream.sse"));
        for (int i = 0; i < 100; i++)
        {
            byte[] damaged = [.. whole];
            for (int n = random.Next(1, 6); n > 0; n--) damaged[random.Next(damaged.Length)] = "\"{}[],:\\ \n0aé"u8[random.Next(14)];
            List<JsonElement> events = ResponsesRun.ReadEvents(Run(name).Stream(Encoding.UTF8.GetString(damaged)));
            Assert.Contains(ResponsesRun.Type(events[^1]), (string[])["response.completed", "response.incomplete"]);
        }
    }

    private static string TextOf(JsonElement item) => ResponsesRun.Type(item) switch
    {
        "message" => item.GetProperty("content")[0].GetProperty("text").GetString()!,
        "reasoning" => item.GetProperty("summary")[0].GetProperty("text").GetString()!,
        "custom_tool_call" => item.GetProperty("input").GetString()!,
        // Said in one piece, at their end.
        "tool_search_call" or "compaction" => "",
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
