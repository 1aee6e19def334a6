using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

/// <summary>
/// The golden matrix: each folder of tests/golden/messages is a request, what goes upstream, what comes back, and what the client reads,
/// streamed and whole. In folders named cached-… the upstream understands cache markers. To write the expected files anew after a
/// deliberate change: QWEN_PROXY_WRITE_GOLDEN=1, and read the difference before committing it.
/// </summary>
public sealed class MessagesGoldenTests
{
    private static readonly bool Write = Environment.GetEnvironmentVariable("QWEN_PROXY_WRITE_GOLDEN") == "1";

    public static TheoryData<string> Cases() =>
        [.. Directory.GetDirectories(Root()).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Request_BecomesTheExpectedChatRequest(string name)
    {
        MessagesRequest request = Translate(name);
        ThinkingRequest thinking = request.Thinking;
        string notes = $"""
            thinking: {thinking.Mode} budget={thinking.BudgetTokens} effort={thinking.Effort} display={thinking.Display}
            dropped: {string.Join(' ', request.Dropped)}
            quirks: {string.Join(' ', request.QuirksApplied)}

            """.ReplaceLineEndings("\n");
        using JsonDocument wellFormed = JsonDocument.Parse(request.ChatBody);
        Check(name, "chat.json", Encoding.UTF8.GetString(request.ChatBody) + "\n");
        Check(name, "notes.txt", notes);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Upstream_BecomesTheExpectedMessage(string name)
    {
        string upstream = File.ReadAllText(PathOf(name, "upstream.sse"));
        string stream = MessagesStreams.Stream(upstream, Answer(name));
        string whole = MessagesStreams.Whole(upstream, Answer(name));
        Check(name, "messages.sse", stream);
        Check(name, "folded.json", whole + "\n");
        foreach (int piece in new[] { 1, 7, 64 })
        {
            Assert.Equal(stream, MessagesStreams.Stream(upstream, Answer(name), piece));
            Assert.Equal(whole, MessagesStreams.Whole(upstream, Answer(name), piece));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Stream_FoldedByAClient_IsTheWholeAnswer(string name)
    {
        string upstream = File.ReadAllText(PathOf(name, "upstream.sse"));
        string folded = MessagesClient.Fold(MessagesStreams.Stream(upstream, Answer(name)));
        string whole = MessagesStreams.Whole(upstream, Answer(name));
        Assert.True(System.Text.Json.Nodes.JsonNode.DeepEquals(
            System.Text.Json.Nodes.JsonNode.Parse(folded), System.Text.Json.Nodes.JsonNode.Parse(whole)), $"{folded}\n{whole}");
    }

    private static MessagesRequest Translate(string name)
    {
        MessagesOptions options = new() { CacheControl = name.StartsWith("cached-", StringComparison.Ordinal) };
        byte[] body = File.ReadAllBytes(PathOf(name, "request.json"));
        bool ok = MessagesRequestParser.TryTranslate(body, options, out MessagesRequest? request, out ProxyError? fault);
        Assert.True(ok, fault?.Message);
        return request!;
    }

    private static MessagesAnswerOptions Answer(string name)
    {
        MessagesRequest request = Translate(name);
        return MessagesStreams.Options(request.Thinking.Display, [.. request.StopSequences]);
    }

    private static void Check(string name, string file, string actual)
    {
        string path = PathOf(name, file);
        if (Write) File.WriteAllText(path, actual);
        Assert.Equal(File.ReadAllText(path), actual);
    }

    private static string PathOf(string name, string file) => Path.Combine(Root(), name, file);

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "golden", "messages"));
}
