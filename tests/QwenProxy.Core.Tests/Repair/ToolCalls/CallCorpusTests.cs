using System.Text.Json;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>The bars of docs/tool-repair.md, on labelled streams with fixed seeds.</summary>
public sealed class CallCorpusTests(ITestOutputHelper output)
{
    private static RepairRun Run(string sse, bool whole = false)
    {
        int ids = 0;
        string Mint() => $"minted_{++ids}";
        return RepairRun.Of(sse, RepairRun.NewContext(CallCorpus.Tools, whole: whole), c =>
            [new AnswerTextStage(c, RepairMode.On, TextTags.Thinking | TextTags.Calls, Mint), new ToolDeltaStage(c, RepairMode.On, Mint)]);
    }

    private static bool SameCall(RepairRun run, int index, CallCorpus.Call call, out bool exact)
    {
        exact = false;
        if (!run.Message.TryGetProperty("tool_calls", out JsonElement calls) || calls.GetArrayLength() <= index) return false;
        JsonElement function = calls[index].GetProperty("function");
        if (function.GetProperty("name").GetString() != call.Name) return false;
        try
        {
            using JsonDocument given = JsonDocument.Parse(function.GetProperty("arguments").GetString()!);
            using JsonDocument wanted = JsonDocument.Parse(call.Json);
            exact = JsonElement.DeepEquals(given.RootElement, wanted.RootElement);
        }
        catch (JsonException)
        {
            exact = false;
        }

        return true;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20260101)]
    public void LeakedCalls_AreConvertedWithExactArguments(int seed)
    {
        CallCorpus corpus = new(seed);
        // Form 8 leaves its last parameter open, so that what follows would belong to it: it ends its stream.
        int all = 0, converted = 0, exact = 0, finish = 0, text = 0;
        for (int i = 0; i < 2200; i++)
        {
            int form = i % 11;
            CallCorpus.Call[] calls = [.. Enumerable.Range(0, form == 8 ? 1 : 1 + corpus.Next(2)).Select(_ => corpus.NewCall(form >= 5))];
            string words = corpus.Words();
            string leak = words + string.Join('\n', calls.Select(c => corpus.Leak(c, form)));
            string field = corpus.Pick<string>(["content", "reasoning_content"]);
            RepairRun run = Run(Sse.Stream(corpus.Cut(leak), field));
            for (int c = 0; c < calls.Length; c++)
            {
                all++;
                bool same = SameCall(run, c, calls[c], out bool arguments);
                converted += same ? 1 : 0;
                exact += arguments ? 1 : 0;
                if (!arguments) output.WriteLine($"form {form}: {leak}\n  -> {run.Seen}");
            }

            finish += run.FinishReason == "tool_calls" ? 1 : 0;
            if (run.FinishReason != "tool_calls") output.WriteLine($"form {form} {field}: {leak}\n  -> {run.Seen}");
            text += (field == "content" ? run.Content : run.Reasoning).TrimEnd() == words.TrimEnd() ? 1 : 0;
        }

        output.WriteLine($"seed {seed}: leaked calls {all}, converted {converted}, arguments exact {exact}");
        output.WriteLine($"finish right {finish}/2200, text right {text}/2200");
        Assert.True(converted >= all * 0.99, $"converted {converted} of {all}");
        Assert.True(exact >= converted * 0.999, $"exact {exact} of {converted}");
        Assert.Equal(2200, finish);
        Assert.Equal(2200, text);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(20260102)]
    public void TextsThatMentionCalls_AreNeverConverted(int seed)
    {
        CallCorpus corpus = new(seed);
        for (int i = 0; i < 2000; i++)
        {
            string sse = Sse.Stream(corpus.Cut(corpus.Negative()), corpus.Pick<string>(["content", "reasoning_content"]));
            Assert.Equal(sse, Run(sse).Stream);
            Assert.Equal(sse, Run(sse, whole: true).Stream);
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(20260103)]
    public void HealthyCalls_AreNeverTouched(int seed)
    {
        CallCorpus corpus = new(seed);
        for (int i = 0; i < 1500; i++)
        {
            string sse = Sse.Delta("\"role\":\"assistant\",\"content\":null");
            int count = 1 + corpus.Next(3);
            for (int c = 0; c < count; c++)
            {
                CallCorpus.Call call = corpus.NewCall(forTags: false);
                string[] pieces = corpus.Cut(call.Json);
                string first = corpus.Next(2) == 0 ? "" : pieces[0];
                string start = $"\"index\":{c},\"id\":\"call_{i}_{c}\",\"type\":\"function\"";
                sse += Sse.Tool($"{{{start},\"function\":{{\"name\":\"{call.Name}\",\"arguments\":{Sse.Quote(first)}}}}}");
                string more = corpus.Pick<string>(["\"index\":%", "\"index\":%,\"id\":\"\",\"type\":\"function\"",
                    $"\"index\":%,\"id\":\"call_{i}_%\""]).Replace("%", $"{c}", StringComparison.Ordinal);
                string name = corpus.Pick<string>(["", "\"name\":\"\",", "\"name\":null,"]);
                foreach (string piece in pieces.Skip(first.Length > 0 ? 1 : 0))
                {
                    sse += Sse.Tool($"{{{more},\"function\":{{{name}\"arguments\":{Sse.Quote(piece)}}}}}");
                }
            }

            sse += Sse.End("tool_calls");
            Assert.Equal(sse, Run(sse).Stream);
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(20260104)]
    public void DamagedCalls_AreMended(int seed)
    {
        CallCorpus corpus = new(seed);
        int all = 0, exact = 0;
        for (int i = 0; i < 1600; i++)
        {
            int damage = i % 8;
            CallCorpus.Call[] calls = [.. Enumerable.Range(0, 1 + corpus.Next(3)).Select(_ => corpus.NewCall(forTags: false))];
            string sse = Sse.Delta("\"role\":\"assistant\"");
            for (int c = 0; c < calls.Length; c++) sse += Damaged(corpus, calls[c], damage, c);
            RepairRun run = Run(sse + Sse.End(corpus.Pick<string>(["stop", "tool_calls"])));
            for (int c = 0; c < calls.Length; c++)
            {
                all++;
                SameCall(run, c, calls[c], out bool arguments);
                exact += arguments ? 1 : 0;
                if (!arguments) output.WriteLine($"damage {damage}: {calls[c]} -> {run.Seen}");
            }

            Assert.Equal("tool_calls", run.FinishReason);
            Assert.Equal(calls.Length, run.Calls.Length);
        }

        output.WriteLine($"seed {seed}: damaged calls {all}, arguments exact {exact}");
        Assert.True(exact >= all * 0.999, $"exact {exact} of {all}");
    }

    private static string Damaged(CallCorpus corpus, CallCorpus.Call call, int damage, int c)
    {
        string json = damage == 5 ? JsonSerializer.Serialize(call.Json) : call.Json;
        string[] pieces = corpus.Cut(json);
        string id = $"\"id\":\"c{c}\",";
        string name = $"\"name\":\"{call.Name}\",";
        (string head, string firstName, string more, string moreName) = damage switch
        {
            0 => (id, name, "", ""),
            1 => ("\"index\":0," + id, name, "\"index\":0,", ""),
            2 => ($"\"index\":{c},", name, $"\"index\":{c},", ""),
            3 => ($"\"index\":{c}," + id, name, $"\"index\":{c}," + id, name),
            4 => ("\"index\":0,", name, "\"index\":0,", ""),
            5 => ($"\"index\":{c}," + id, name, $"\"index\":{c},", ""),
            6 => ($"\"index\":{c + 2}," + id, name, $"\"index\":{c + 2},", "\"name\":null,"),
            _ => ("", name, "", ""),
        };
        string sse = Sse.Tool($"{{{head}\"type\":\"function\",\"function\":{{{firstName}\"arguments\":{Sse.Quote(pieces[0])}}}}}");
        foreach (string piece in pieces.Skip(1)) sse += Sse.Tool($"{{{more}\"function\":{{{moreName}\"arguments\":{Sse.Quote(piece)}}}}}");
        return sse;
    }

    [Theory]
    [InlineData(5)]
    [InlineData(20260105)]
    public void ThinkingInContent_IsSplit(int seed)
    {
        CallCorpus corpus = new(seed);
        int split = 0;
        const int Streams = 2000;
        for (int i = 0; i < Streams; i++)
        {
            string thinking = "Hm. " + corpus.Words().Trim('\n') + " So.";
            string answer = "Well, " + corpus.Negative();
            string tag = corpus.Pick<string>(["think", "thinking"]);
            string inner = corpus.Pick<string>(["", "\n"]);
            string outer = corpus.Pick<string>(["", "\n", "\n\n"]);
            RepairRun run = Run(Sse.Stream(corpus.Cut($"<{tag}>{inner}{thinking}{inner}</{tag}>{outer}{answer}")));
            bool exact = run.Reasoning == thinking && run.Content == answer && run.Calls.Length == 0;
            RepairRun alone = Run(Sse.Stream(corpus.Cut($"{thinking}{inner}</{tag}>{outer}{answer}")), whole: true);
            exact &= alone.Reasoning == thinking && alone.Content == answer && alone.Calls.Length == 0;
            if (alone.Reasoning != thinking || alone.Content != answer) output.WriteLine($"alone {thinking} / {answer} -> {alone.Seen}");
            split += exact ? 1 : 0;
            if (!exact) output.WriteLine($"{thinking} / {answer} -> {run.Seen}");
        }

        output.WriteLine($"seed {seed}: thinking split {split} of {Streams}");
        Assert.True(split >= Streams * 0.99, $"{split} of {Streams}");
    }
}
