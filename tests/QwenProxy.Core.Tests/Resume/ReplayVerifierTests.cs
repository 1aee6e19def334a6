using QwenProxy.Core.Resume;
using static QwenProxy.Core.Tests.Resume.Stream;

namespace QwenProxy.Core.Tests.Resume;

public sealed class ReplayVerifierTests
{
    [Fact]
    public void ReplayThatRepeatsTheText_GoesOnAtTheSeamInsideAnEvent()
    {
        using Stream client = new();
        client.Feed(Role(), Say("Hello, "), Say("wo"));
        ReplayVerifier verifier = client.Resume(ResumeWay.Replay, Role(), Say("Hel"), Say("lo, world"), Say(" 你好"), End());
        Assert.Null(verifier.Mismatch);
        Assert.True(verifier.IsCaughtUp);
        Assert.Equal((1, "", "Hello, world 你好", "", "stop"), client.Read());
    }

    [Fact]
    public void ReplayThatDiffers_StopsAtTheFirstDifferenceAndPassesNothingOn()
    {
        using Stream client = new();
        client.Feed(Role(), Say("The answer is 4"));
        string before = client.Bytes;
        ReplayVerifier verifier = client.Resume(ResumeWay.Replay, Role(), Say("The answer "), Say("was 5"), Say("The answer is 42"), End());
        Assert.Equal("0/content", verifier.Mismatch);
        Assert.False(verifier.IsCaughtUp);
        Assert.Equal(before, client.Bytes);
    }

    [Fact]
    public void ReplayThatEndsTooSoon_IsAMismatchAndForgesNoEnd()
    {
        using Stream client = new();
        client.Feed(Role(), Say("abcdef"));
        Assert.Equal("0/content", client.Resume(ResumeWay.Replay, Role(), Say("abc"), End()).Mismatch);
        Assert.Equal("end", client.Resume(ResumeWay.Replay, Role(), Say("abc"), "[DONE]").Mismatch);
        Assert.Equal("", client.Read().Finish);
        Assert.DoesNotContain("[DONE]", client.Bytes, StringComparison.Ordinal);
    }

    [Fact]
    public void ReplayThatIsCutBeforeItCaughtUp_IsNoMismatchAndCanBeResumedAgain()
    {
        using Stream client = new();
        client.Feed(Role(), Say("abcdef"));
        ReplayVerifier verifier = client.Resume(ResumeWay.Replay, Role(), Say("abc"));
        Assert.Null(verifier.Mismatch);
        Assert.False(verifier.IsCaughtUp);
        client.Resume(ResumeWay.Replay, Role(), Say("abcdefg"));
        client.Resume(ResumeWay.Replay, Role(), Say("abcdefgh"), End());
        Assert.Equal((1, "", "abcdefgh", "", "stop"), client.Read());
    }

    [Fact]
    public void OtherThinkingOnceTextHasBegun_IsSwallowed()
    {
        using Stream client = new();
        client.Feed(Role(), Think("let me see"), Say("Yes, "));
        client.Resume(ResumeWay.Replay, Role(), Think("other thoughts"), Say("Yes, it is"), End());
        Assert.Equal((1, "let me see", "Yes, it is", "", "stop"), client.Read());
    }

    [Fact]
    public void CutInsideThinking_GoesOnWhereItRepeatsElseOnlyTheTextFollows()
    {
        using Stream same = new();
        same.Feed(Role(), Think("one two"));
        same.Resume(ResumeWay.Replay, Role(), Think("one "), Think("two three"), Say("done"), End());
        Assert.Equal((1, "one two three", "done", "", "stop"), same.Read());

        using Stream other = new();
        other.Feed(Role(), Think("one two"));
        ReplayVerifier verifier = other.Resume(ResumeWay.Replay, Role(), Think("one x"), Think("y"), Say("done"), End());
        Assert.Null(verifier.Mismatch);
        Assert.Equal((1, "one two", "done", "", "stop"), other.Read());
    }

    [Fact]
    public void CutInsideAToolCall_KeepsItsIdAndGetsTheRestOfItsArguments()
    {
        using Stream client = new();
        client.Feed(Role(), Say("Reading."), Call(0, "call_1", "read", "{\"pa"));
        client.Resume(ResumeWay.Replay, Role(), Say("Reading."), Call(0, "call_9", "read", ""), Arguments(0, "{\"path\":"), Arguments(0, "\"a\"}"), End("tool_calls"));
        Assert.Equal((1, "", "Reading.", "0:call_1:read:{\"path\":\"a\"}", "tool_calls"), client.Read());
    }

    [Fact]
    public void SecondToolCallAfterTheSeam_IsNew()
    {
        using Stream client = new();
        client.Feed(Role(), Call(0, "call_1", "read", "{}"));
        client.Resume(ResumeWay.Replay, Role(), Call(0, "call_9", "read", "{}"), Call(1, "call_10", "write", "{\"x\":1}"), End("tool_calls"));
        Assert.Equal("0:call_1:read:{};1:call_10:write:{\"x\":1}", client.Read().Calls);
    }

    [Theory]
    [InlineData("read", "{\"path\":\"b\"}")]
    [InlineData("write", "{\"path\":\"a\"}")]
    public void OtherArgumentsOrAnotherTool_AreAMismatch(string name, string arguments)
    {
        using Stream client = new();
        client.Feed(Role(), Call(0, "call_1", "read", "{\"path\":\"a"));
        Assert.Equal("0/tool0", client.Resume(ResumeWay.Replay, Role(), Call(0, "call_9", name, arguments), End("tool_calls")).Mismatch);
    }

    [Fact]
    public void TextWhereTheClientHasACall_IsAMismatch()
    {
        using Stream client = new();
        client.Feed(Role(), Say("Hm."), Call(0, "call_1", "read", "{"));
        Assert.Equal("0/content", client.Resume(ResumeWay.Replay, Role(), Say("Hm. Or not."), End()).Mismatch);
    }

    [Fact]
    public void MissingCall_IsAMismatch()
    {
        using Stream client = new();
        client.Feed(Role(), Say("Hm."), Call(0, "call_1", "read", "{"));
        Assert.Equal("0/tool", client.Resume(ResumeWay.Replay, Role(), Say("Hm."), End()).Mismatch);
    }

    [Fact]
    public void PrefillContinuation_IsPassedOnDirectly()
    {
        using Stream client = new();
        client.Feed(Role(), Think("t"), Say("ha"));
        client.Resume(ResumeWay.Prefill, Role(), Think("again"), Say("ha"), Say("ha"), End());
        Assert.Equal((1, "t", "hahaha", "", "stop"), client.Read());
    }

    [Theory]
    [InlineData("The board says", null)]
    [InlineData("The board is", "0/content")]
    [InlineData("The board", "0/content")]
    [InlineData("", null)]
    public void PrefillAfterACallHasBegun_MayRepeatTheTextBeforeItAndNothingElse(string before, string? mismatch)
    {
        using Stream client = new();
        client.Feed(Role(), Say("The board says"), Call(0, "call_1", "look", "{\"a\""));
        ReplayVerifier verifier = client.Resume(ResumeWay.Prefill, Role(), Say(before), Call(0, "call_9", "look", "{\"a\":1"), Arguments(0, "}"), End("tool_calls"));
        Assert.Equal(mismatch, verifier.Mismatch);
        Assert.Equal(("The board says", mismatch is null ? "0:call_1:look:{\"a\":1}" : "0:call_1:look:{\"a\""), (client.Read().Content, client.Read().Calls));
    }

    [Fact]
    public void PrefillThatRepeatsTheWholePrefix_IsStripped()
    {
        string prefix = string.Concat(Enumerable.Range(0, 20).Select(i => $"line {i}\n"));
        using Stream client = new();
        client.Feed(Role(), Say(prefix));
        client.Resume(ResumeWay.Prefill, Role(), Say(prefix[..40]), Say(prefix[40..] + "more"), Say(" and more"), End());
        Assert.Equal((1, "", prefix + "more and more", "", "stop"), client.Read());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void PrefillThatBeginsLikeThePrefix_LosesNothing(bool finishes)
    {
        string prefix = string.Concat(Enumerable.Range(0, 20).Select(i => $"line {i}\n"));
        using Stream client = new();
        client.Feed(Role(), Say(prefix));
        string[] tail = finishes ? [End()] : [];
        client.Resume(ResumeWay.Prefill, [Role(), Say("line 0\n"), Say("line 1"), .. tail]);
        Assert.Equal((1, "", prefix + "line 0\nline 1", "", finishes ? "stop" : ""), client.Read());

        client.Resume(ResumeWay.Prefill, Say("line 0\nLINE"), Say("!"));
        Assert.Equal(prefix + "line 0\nline 1" + (finishes ? "" : "line 0\nLINE!"), client.Read().Content);
    }

    [Fact]
    public void ResumedAnswer_ShowsOneIdAndTheSumOfUsage()
    {
        using Stream client = new();
        client.Feed(Role(), Say("a"));
        client.Usage.Note("""{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}"""u8);
        client.Resume(
            ResumeWay.Replay,
            Chunk("\"content\":\"ab\"", id: "c2"),
            Chunk("", "stop", """{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":8},"x":null}""", id: "c2"));
        Assert.All(client.Chunks(), chunk => Assert.Equal("c1", chunk.GetProperty("id").GetString()));
        Assert.Equal(
            """{"prompt_tokens":20,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":12},"x":null}""",
            client.Chunks()[^1].GetProperty("usage").GetRawText());
        Assert.Equal("stop", client.Read().Finish);
    }

    [Fact]
    public void SeveralChoices_AreComparedEachForItself()
    {
        static string SayIn(int choice, string text, string finish) => Say(text)
            .Replace("\"index\":0", $"\"index\":{choice}", StringComparison.Ordinal)
            .Replace("\"finish_reason\":null", $"\"finish_reason\":{finish}", StringComparison.Ordinal);
        using Stream client = new();
        client.Feed(SayIn(0, "ab", "\"stop\""), SayIn(1, "x", "null"));
        ReplayVerifier verifier = client.Resume(ResumeWay.Replay, SayIn(1, "xy", "null"), SayIn(0, "other", "\"stop\""), SayIn(1, "z", "\"stop\""));
        Assert.Null(verifier.Mismatch);
        Assert.Equal("ab", System.Text.Encoding.UTF8.GetString(client.Sent.Find(0)!.Content));
        Assert.Equal("xyz", System.Text.Encoding.UTF8.GetString(client.Sent.Find(1)!.Content));
        Assert.True(client.Sent.IsFinished);
        Assert.Equal(2, client.Chunks().Count(c => c.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind != System.Text.Json.JsonValueKind.Null));
    }

    [Fact]
    public void AnyAnswerCutAnywhere_IsCompletedExactly()
    {
        for (int seed = 0; seed < 4000; seed++)
        {
            Random random = new(seed);
            string reasoning = random.Next(2) == 0 ? Words(random, 6) : "";
            string content = random.Next(4) == 0 ? "" : Words(random, 12);
            string[] calls = [.. Enumerable.Range(0, random.Next(3)).Select(i => "{\"p" + i + "\":\"" + Words(random, 4) + "\"}")];
            using Stream client = new();
            string[] first = Script(random, "f", reasoning, content, calls);
            client.Feed(first[..random.Next(1, first.Length)]);
            for (int cuts = random.Next(3); cuts > 0; cuts--)
            {
                string[] middle = Script(random, $"m{cuts}", reasoning, content, calls);
                Assert.Null(client.Resume(ResumeWay.Replay, middle[..random.Next(1, middle.Length)]).Mismatch);
            }

            ReplayVerifier verifier = client.Resume(ResumeWay.Replay, Script(random, "l", reasoning, content, calls));
            Assert.True(verifier.Mismatch is null && verifier.IsCaughtUp, $"seed {seed}: {verifier.Mismatch}");
            (int roles, string thought, string said, string called, string finish) = client.Read();
            Assert.True(roles >= 1);
            Assert.Equal(reasoning, thought);
            Assert.Equal(content, said);
            Assert.Equal("stop", finish);
            string[] read = called.Length == 0 ? [] : called.Split(';');
            Assert.Equal(calls.Length, read.Length);
            for (int i = 0; i < calls.Length; i++) Assert.Matches($"^{i}:(f|m1|m2|l){i}:tool{i}:", read[i]);
            for (int i = 0; i < calls.Length; i++) Assert.EndsWith($":tool{i}:{calls[i]}", read[i], StringComparison.Ordinal);
        }
    }

    private static string[] Script(Random random, string ids, string reasoning, string content, string[] calls)
    {
        List<string> chunks = [Role()];
        chunks.AddRange(Pieces(random, reasoning).Select(Think));
        chunks.AddRange(Pieces(random, content).Select(Say));
        for (int i = 0; i < calls.Length; i++)
        {
            int head = random.Next(calls[i].Length);
            while (head > 0 && char.IsLowSurrogate(calls[i][head])) head--;
            int index = i;
            chunks.Add(Call(i, $"{ids}{i}", $"tool{i}", calls[i][..head]));
            chunks.AddRange(Pieces(random, calls[i][head..]).Select(p => Arguments(index, p)));
        }

        chunks.Add(End());
        return [.. chunks];
    }

    private static IEnumerable<string> Pieces(Random random, string text)
    {
        while (text.Length > 0)
        {
            int length = Math.Min(text.Length, 1 + random.Next(9));
            if (length < text.Length && char.IsLowSurrogate(text[length])) length++;
            yield return text[..length];
            text = text[length..];
        }
    }

    private static string Words(Random random, int count)
    {
        string[] words = ["ha", "ha ", "line ", "\\n", "你好", "😀", "x", "the end. "];
        return string.Concat(Enumerable.Range(0, 1 + random.Next(count)).Select(_ => words[random.Next(words.Length)]));
    }
}
