using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;

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
        Assert.True(ChatRequest.TryParse(request.ChatBody, out ChatRequest chat, out string chatFault), chatFault);
        Assert.Equal((request.Model, request.Stream), (chat.Model, chat.Stream));
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
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(folded), JsonNode.Parse(whole)), $"{folded}\n{whole}");
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DamagedRequest_IsTranslatedOrRefusedButNeverBreaks(string name)
    {
        byte[] original = File.ReadAllBytes(PathOf(name, "request.json"));
        Random random = new(original.Length);
        for (int i = 0; i < 400; i++)
        {
            byte[] body = Damage(original, random);
            MessagesOptions options = new() { CacheControl = i % 2 == 0 };
            if (MessagesRequestParser.TryTranslate(body, options, out MessagesRequest? request, out ProxyError? fault))
            {
                using JsonDocument wellFormed = JsonDocument.Parse(request.ChatBody);
            }
            else Assert.Equal(400, fault.Status);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DamagedStream_StaysAWellFormedMessage(string name)
    {
        string[] frames = File.ReadAllText(PathOf(name, "upstream.sse")).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Random random = new(frames.Length);
        for (int i = 0; i < 60; i++)
        {
            // Frames lost, doubled and out of order: nobody can tell what was meant, but the client must be able to read it.
            string upstream = string.Concat(Enumerable.Range(0, frames.Length).Select(_ => frames[random.Next(frames.Length)] + "\n\n"));
            string folded = MessagesClient.Fold(MessagesStreams.Stream(upstream, Answer(name)));
            string whole = MessagesStreams.Whole(upstream, Answer(name));
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(folded), JsonNode.Parse(whole)), upstream);
        }
    }

    private static byte[] Damage(byte[] original, Random random)
    {
        byte[] body = random.Next(4) == 0 ? original[..random.Next(original.Length)] : [.. original];
        ReadOnlySpan<byte> likely = "{}[]\",:\\0nt "u8;
        for (int edits = random.Next(1, 4); edits > 0 && body.Length > 0; edits--)
        {
            int at = random.Next(body.Length);
            if (random.Next(2) == 0) body[at] = likely[random.Next(likely.Length)];
            else if (random.Next(2) == 0) body = [.. body[..at], .. body[Math.Min(body.Length, at + random.Next(1, 20))..]];
            else body[at] = (byte)random.Next(256);
        }

        return body;
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
