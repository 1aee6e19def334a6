using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Tests.Repair.Corpus;

namespace QwenProxy.Core.Tests.Repair.Stutter;

/// <summary>Where each rule over text and JSON begins to prove, and just before.</summary>
public sealed class StutterEvidenceTests
{
    private static string Repair(RepairRig rig, Lane lane, params string[] deltas) =>
        ChunkWriter.Read(rig.Run(ChunkWriter.Stream(lane, [.. deltas.Select(d => new Delta(d))], role: false)), lane);

    [Theory]
    [InlineData("3.141592", "3", "3.", "3.14", "3.141", "592")]
    [InlineData("192.168.0.17 ok", "192", "192.168", "192.168.0", "192.168.0.17", " ok")]
    [InlineData("①②③④⑤", "①", "①②", "①②③", "①②③④", "⑤")]
    [InlineData("🎉🚀✨👍 and on", "🎉", "🎉🚀", "🎉🚀✨", "🎉🚀✨👍", " and on")]
    [InlineData("+49 30 1234", "+49", "+49 ", "+49 30", "+49 30 12", "34")]
    [InlineData("今天天气很好", "今", "今天", "今天天", "今天天气", "很好")]
    [InlineData("\n\nOf course", "\n", "\n\n", "\n\nO", "\n\nOf", " course")]
    public void ThreeGrowingSteps_ProveWithoutLettersToo(string truth, params string[] deltas)
    {
        foreach (Lane lane in new[] { Lane.Content, Lane.Reasoning })
        {
            RepairRig rig = new();
            Assert.Equal(truth, Repair(rig, lane, deltas));
            Assert.Contains(rig.Report.Decisions, d => d is { Rule: "E5b-steps", Action: RepairAction.Removed });
            Assert.InRange(rig.MostHeldTexts, 1, 3);
        }
    }

    [Theory]
    [InlineData("1", "11", "111", "1111")]
    [InlineData("-", "--", "---", "----")]
    [InlineData("1|", "1|1|", "1|1|1|", "1|1|1|1|")]
    [InlineData("ha", "haha", "hahaha", "hahahaha")]
    [InlineData("哈哈", "哈哈哈", "哈哈哈哈", "哈哈哈哈哈")]
    [InlineData("1", "1\n", "12\n", "123\n")]
    [InlineData("01", "011", "0110")]
    public void StepsOfOneOrTwoCharacters_ProveNothing(params string[] deltas)
    {
        foreach (Knowledge row in StutterCorpus.Rows) Assert.Equal(string.Concat(deltas), Repair(StutterCorpus.Rig(row), Lane.Content, deltas));
    }

    [Fact]
    public void TwoStepsInsideWords_Prove() => Assert.Equal("Hello world", Repair(new RepairRig(), Lane.Content, "He", "Hello", "Hello wor", "ld"));

    [Theory]
    [InlineData("The old lighthouse", true)]   // Ends inside a word.
    [InlineData("The old lighthouse ", false)] // Ends with white space, and is shorter than 32 characters.
    [InlineData("The old lighthouse.", false)]
    [InlineData("Old light, bright; warm:", false)]
    [InlineData("the old lighthouse|", false)]
    [InlineData("the_call(one, two, x)", false)]
    [InlineData("今天天气很好我们可以", false)]
    [InlineData("The old lighthouse keeper counted. ", true)] // 32 characters and more, wherever they end.
    [InlineData("import collections.abc as collected\n", false)] // But for whole lines.
    [InlineData("The old", false)] // Less than 16 characters.
    public void OneStep_ProvesByLengthAndOpenEnd(string first, bool proves)
    {
        string whole = first + " and more of it";
        Assert.Equal(proves ? whole : first + whole, Repair(new RepairRig(), Lane.Content, first, whole, ""));
    }

    [Theory]
    [InlineData("Certainly", true)]
    [InlineData("Sure, he", true)]
    [InlineData("## Plan", true)]
    [InlineData("Hello", false)] // Less than six characters.
    [InlineData("import os\n", false)]
    [InlineData("value|", false)]
    [InlineData(" knock", false)]
    [InlineData("\n- an item", false)]
    [InlineData("Certainly.", false)]
    [InlineData("hahaha", false)]
    [InlineData("201220", false)]
    [InlineData("你好世界你们", false)]
    [InlineData("import collections.abc as collected\n", false)]
    [InlineData("The old lighthouse keeper counted. ", false)]
    public void ExactRepeat_ProvesOnlyWithAPriorAndAnOpenEnd(string first, bool proves)
    {
        string read = Repair(new RepairRig { Standing = StutterStanding.Seen }, Lane.Content, first, first, " and", " more");
        Assert.Equal((proves ? first : first + first) + " and more", read);
        Assert.Equal(first + first + " and more", Repair(new RepairRig(), Lane.Content, first, first, " and", " more"));
    }

    [Theory]
    [InlineData("A keeper counted ships. ")] // Sixteen characters and more, whatever stands at the seam.
    [InlineData("A keeper count")]           // Fewer, against the end of a word.
    public void RewindInAProvenChannel_IsSwallowed(string rewind)
    {
        string first = "A keeper counted ships. ", second = first + "Then it", third = second + " rained";
        RepairRig rig = new();
        Assert.Equal(third + " hard", Repair(rig, Lane.Content, "A keeper", "A keeper counted", first, second, third, rewind, " hard"));
    }

    [Fact]
    public void Refrain_IsKept()
    {
        const string Line = "The old lighthouse keeper counted. ";
        Assert.Equal(Line + Line + Line + "Then", Repair(new RepairRig(), Lane.Content, Line, Line + Line, "Then"));
    }

    [Fact]
    public void ShortRewindBeforeNewText_IsKept()
    {
        string first = "A keeper counted ships. ", second = first + "Then it";
        Assert.Equal(second + "A rain", Repair(new RepairRig(), Lane.Content, "A keeper", "A keeper counted", first, second, "A", " rain"));
    }

    [Fact]
    public void RewindInAChannelThatIsNotProven_IsKept() => Assert.Equal(
        "A keeper counted ships. A keeper counted and more", Repair(new RepairRig(), Lane.Content, "A keeper counted ships. ", "A keeper counted", " and more"));

    [Theory]
    [InlineData("[1,2,3,4,5]", "[", "[", "1", ",2", ",3", ",4", ",5", "]")]
    [InlineData("[[1,2],[3,4]]", "[[", "[[", "1,2", "],", "[", "3,", "4", "]]")]
    [InlineData("[[1],[2],[3]]", "[[1],", "[2],", "[3", "]]")]
    [InlineData("[[[[1]]]]", "[", "[", "[", "[", "1]", "]]", "]")]
    [InlineData("{\"a\":{\"a\":{\"a\":1}}}", "{\"a\":", "{\"a\":", "{\"a\":", "1}", "}}")]
    [InlineData("{\"a\":[\"He\",\"Hello\"]}", "{\"a\":[", "{\"a\":[\"He\"", "{\"a\":[\"He\",\"Hello\"", "]", "}")]
    public void JsonThatIsStillOpen_WaitsForItsEnd(string truth, params string[] deltas)
    {
        foreach (Lane lane in new[] { Lane.Content, Lane.Arguments })
        {
            RepairRig rig = new() { ExpectsJson = true };
            Assert.Equal(truth, Repair(rig, lane, deltas));
            Assert.False(rig.Stage.IsHolding);
        }
    }

    [Fact]
    public void JsonWhoseIncrementalReadingIsDead_IsDecidedAtOnce()
    {
        foreach (Lane lane in new[] { Lane.Content, Lane.Arguments })
        {
            RepairRig rig = new() { ExpectsJson = true, Mode = StutterMode.Safe };
            Assert.Equal("{\"answer\": 42}", Repair(rig, lane, "{\"an", "{\"answer\":", "{\"answer\": 4", "2}"));
            Assert.Equal(0, rig.MostHeld);
        }
    }

    [Fact]
    public void JsonThatWaitsTooLong_IsLetGo()
    {
        RepairRig rig = new() { ExpectsJson = true, HoldLimitBytes = 6 };
        Assert.Equal("[[1,2,3,4,5,6]", Repair(rig, Lane.Content, "[", "[", "1,", "2,", "3,", "4,", "5,", "6]"));
        RepairRig slow = new() { ExpectsJson = true, GapMilliseconds = 400 };
        Assert.Equal("[[1]", Repair(slow, Lane.Content, "[", "[", "1", "]"));
    }

    [Fact]
    public void ProseAnswerToAJsonRequest_IsJudgedAsText() => Assert.Equal(
        "I cannot answer that in JSON", Repair(new RepairRig { ExpectsJson = true }, Lane.Content, "I can", "I cannot answer", "I cannot answer that", " in JSON"));

    [Fact]
    public void RestatedArgumentsThatRepeatTheName_AreOneCall()
    {
        static string Call(string arguments) => ChunkWriter.Chunk(
            $"{{\"tool_calls\":[{{\"index\":0,\"type\":\"function\",\"function\":{{\"name\":\"write\",\"arguments\":{ChunkWriter.Quote(arguments)}}}}}]}}");
        string cumulative = Call("{\"pa") + Call("{\"path\":\"a") + Call("{\"path\":\"a\"}") + "data: [DONE]\n\n";
        Assert.Equal("{\"path\":\"a\"}", ChunkWriter.Read(new RepairRig().Run(cumulative), Lane.Arguments));
        string twoCalls = Call("{\"path\":\"a\"}") + Call("{\"path\":\"a\"}") + "data: [DONE]\n\n";
        Assert.Equal(twoCalls, new RepairRig().Run(twoCalls));
    }

    [Fact]
    public void TextThatIsPeriodicForAMoment_StaysProven() => Assert.Equal(
        "for x in y: pass\nfor x in y: pass\nfor", Repair(
            new RepairRig(), Lane.Content, "for", "for x in", "for x in y: pass", "for x in y: pass\n", "for x in y: pass\nfor x in y: pass\n",
            "for x in y: pass\nfor x in y: pass\nfor"));
}
