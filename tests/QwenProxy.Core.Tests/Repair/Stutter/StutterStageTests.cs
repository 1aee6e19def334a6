using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Tests.Repair.Corpus;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.Stutter;

public sealed class StutterStageTests
{
    private static readonly Delta FirstMark = new("**") { Marked = true };

    private static string Repair(RepairRig rig, Lane lane, params Delta[] deltas) =>
        ChunkWriter.Read(rig.Run(ChunkWriter.Stream(lane, deltas, role: false)), lane);

    [Fact]
    public void FirstEventRestatedOnceWithMark_IsSaidOnce()
    {
        RepairRig rig = new() { KeyOrderMark = true };
        Assert.Equal("**The Harbour of Glass**\n\nIt", Repair(rig, Lane.Content, FirstMark, FirstMark, "The Harbour", " of Glass", "**\n\nIt"));
        Assert.Contains(rig.Report.Decisions, d => d is { Rule: "E3-key-order", Action: RepairAction.Removed, Bytes: 2, Channel: "0/content" });
        Assert.Equal(StutterOutcome.Proven, rig.Stage.Outcome);
    }

    [Fact]
    public void SlowFirstEventRestatedWithMark_IsSaidOnce() => Assert.Equal(
        "**The Harbour", Repair(new RepairRig { KeyOrderMark = true, GapMilliseconds = 400 }, Lane.Content, FirstMark, FirstMark, "The Harbour"));

    [Fact]
    public void TextOnlyHintOnAProfileWithMark_IsRemovedInSafeModeToo() => Assert.Equal(
        "**The Harbour", Repair(new RepairRig { KeyOrderMark = true, Mode = StutterMode.Safe }, Lane.Content, FirstMark, FirstMark, "The Harbour"));

    [Fact]
    public void MarkOnAProfileThatNeverShowedIt_CountsOnlyBesideABodyEventWithoutIt()
    {
        Assert.Equal("**The Harbour", Repair(new RepairRig(), Lane.Content, FirstMark, FirstMark, "The Harbour"));
        Assert.Equal("****", Repair(new RepairRig(), Lane.Content, FirstMark, FirstMark));
        Assert.Equal("****The", Repair(new RepairRig(), Lane.Content, FirstMark, FirstMark, new("The") { Marked = true }));
    }

    [Fact]
    public void EveryEventMarked_ProvesNothing() => Assert.Equal(
        "hahaha!",
        Repair(
            new RepairRig { KeyOrderMark = true }, Lane.Content,
            new("ha") { Marked = true }, new("ha") { Marked = true }, new("ha") { Marked = true }, new("!") { Marked = true }));

    [Fact]
    public void OneWordAnswerRestatedWithMark_IsSaidOnce() =>
        Assert.Equal("Yes", Repair(new RepairRig { KeyOrderMark = true }, Lane.Content, new("Yes") { Marked = true }, new("Yes") { Marked = true }));

    [Fact]
    public void OneWordAnswerAndEmptyFinish_IsKept() => Assert.Equal("Yes", Repair(new RepairRig { KeyOrderMark = true }, Lane.Content, "Yes", ""));

    [Theory]
    [InlineData((int)Lane.Content)]
    [InlineData((int)Lane.Reasoning)]
    public void CumulativeText_IsSaidOnceByThreeSteps(int lane)
    {
        RepairRig rig = new();
        Assert.Equal("Hello world, how are you",
            Repair(rig, (Lane)lane, "Hel", "Hello", "Hello world", "Hello world, how", "Hello world, how are you"));
        Assert.Contains(rig.Report.Decisions, d => d.Rule == "E5b-steps");
        Assert.InRange(rig.MostHeld, 1, 3);
    }

    [Fact]
    public void GrowingPrefixesWithPrior_EndWhereIncrementsBegin() => Assert.Equal(
        "Hello world", Repair(new RepairRig { Standing = StutterStanding.Seen }, Lane.Content, "He", "Hello", "Hello wor", "ld"));

    [Fact]
    public void ShortGrowingPrefixesWithoutPrior_AreDuplicatedNotLost() =>
        Assert.Equal("HeHello wor", Repair(new RepairRig(), Lane.Content, "He", "Hello", " wor"));

    [Fact]
    public void RewindWithMarks_IsSwallowed() => Assert.Equal("**dstYThe", Repair(
        new RepairRig { KeyOrderMark = true }, Lane.Content, new("**ds") { Marked = true }, new("**dstY") { Marked = true }, FirstMark, "The"));

    [Fact]
    public void CumulativeFromTheMiddle_IsSaidOnce() => Assert.Equal(
        "A lighthouse keeper counted the ships at dusk.",
        Repair(new RepairRig(), Lane.Content, "A light", "house keeper counted", " the ships", "A lighthouse keeper counted the ships at",
            "A lighthouse keeper counted the ships at dusk."));

    [Fact]
    public void CumulativeThenIncremental_IsSaidOnce() => Assert.Equal(
        "The rain fell softly on tin roofs. Then it stopped.",
        Repair(new RepairRig(), Lane.Content, "The rain fell", "The rain fell softly on",
            "The rain fell softly on tin roofs.", " Then", " it", " stopped."));

    [Theory]
    [InlineData("xyz", "xyz", "xyzxyz", "!")]
    [InlineData("tick tock ", "tick tock ", "tick", "!")]
    public void OneTextSaidOften_IsOneCoincidence(params string[] deltas) => Assert.Equal(
        string.Concat(deltas), Repair(new RepairRig { Standing = StutterStanding.Seen }, Lane.Content, [.. deltas.Select(d => new Delta(d))]));

    [Fact]
    public void MarkAtTheEndOfANaturalRepetition_ProvesNothing() => Assert.Equal(
        "The The cat", Repair(new RepairRig { KeyOrderMark = true }, Lane.Content, new("The ") { Marked = true }, new("The cat") { Marked = true }));

    [Fact]
    public void TokenCounterThatStandsStill_Proves()
    {
        RepairRig rig = new() { Mode = StutterMode.Safe };
        Assert.Equal("ab cd", Repair(rig, Lane.Content, new("ab") { Tokens = 1 }, new("ab") { Tokens = 1 }, new(" cd") { Tokens = 2 }));
        Assert.Contains(rig.Report.Decisions, d => d is { Rule: "E2-usage", Action: RepairAction.Removed });
    }

    [Fact]
    public void TokenCounterThatNeverMoves_ProvesNothing() => Assert.Equal(
        "abab cd", Repair(new RepairRig(), Lane.Content, new("ab") { Tokens = 1 }, new("ab") { Tokens = 1 }, new(" cd") { Tokens = 1 }));

    [Fact]
    public void SameSseIdTwice_ProvesAtTheStartAndInTheMiddle()
    {
        RepairRig rig = new() { Mode = StutterMode.Safe };
        Assert.Equal("ha ho ho!", Repair(
            rig, Lane.Content, new("ha") { FrameId = "1" }, new("ha") { FrameId = "1" }, new(" ho") { FrameId = "2" }, new(" ho") { FrameId = "3" },
            new(" ho") { FrameId = "3" }, new("!") { FrameId = "4" }));
    }

    [Fact]
    public void ConstantSseId_ProvesNothing() => Assert.Equal(
        "hahaha", Repair(new RepairRig(), Lane.Content, new("ha") { FrameId = "1" }, new("ha") { FrameId = "1" }, new("ha") { FrameId = "1" }));

    [Theory]
    [InlineData("{\"pa", "{\"path\":", "{\"path\":\"a.txt\"}")]
    [InlineData("{", "{\"path\":\"a", "{\"path\":\"a.txt\"}")]
    [InlineData("{\"path\":", "{\"path\":\"a.txt\"", "{\"path\":\"a.txt\"}")]
    [InlineData("{\"path\":\"a.t", "{\"path\":\"a.t", "xt\"}")]
    [InlineData("{\"path\":", "{\"path\":", "\"a.txt\"}")]
    [InlineData("{\"path\":\"a.txt\"}", "{\"path\":\"a.txt\"}", "")]
    public void RestatedArguments_AreProvenByJson(string first, string second, string third)
    {
        RepairRig rig = new() { Mode = StutterMode.Safe };
        Assert.Equal("{\"path\":\"a.txt\"}", Repair(rig, Lane.Arguments, first, second, third));
        Assert.Contains(rig.Report.Decisions, d => d is { Rule: "E4-json", Action: RepairAction.Removed, Channel: "0/tool0" });
    }

    [Fact]
    public void ArgumentsThatNestTheSameKey_AreUntouched() =>
        Assert.Equal("{\"a\":{\"a\":1}}", Repair(new RepairRig(), Lane.Arguments, "{\"a\":", "{\"a\":1", "}", "}"));

    [Fact]
    public void RestatedJsonAnswer_IsProvenByJson() =>
        Assert.Equal("{\"ok\":1}", Repair(new RepairRig { ExpectsJson = true }, Lane.Content, "{\"o", "{\"ok\"", ":1}"));

    [Fact]
    public void DeclaredCumulative_IsTakenAtItsWord() => Assert.Equal(
        "12 12", Repair(new RepairRig { Deltas = DeltaHabit.Cumulative }, Lane.Content, "1", "12", "12", "12 12"));

    [Fact]
    public void DeclaredIncremental_IsNotLookedAt()
    {
        RepairRig rig = new() { Deltas = DeltaHabit.Incremental };
        Assert.Equal("HelHelloHello wHello wor", Repair(rig, Lane.Content, "Hel", "Hello", "Hello w", "Hello wor"));
        Assert.Empty(rig.Report.Counts);
    }

    [Fact]
    public void SafeMode_DoesNotActOnText() => Assert.Equal(
        "HelHelloHello worldHello world, ho",
            Repair(new RepairRig { Mode = StutterMode.Safe }, Lane.Content, "Hel", "Hello", "Hello world", "Hello world, ho"));

    [Fact]
    public void ObserveMode_DecidesAndChangesNothing()
    {
        RepairRig rig = new() { Mode = StutterMode.Observe };
        string stream = ChunkWriter.Stream(Lane.Content, ["Hel", "Hello", "Hello world", "Hello world, how are you"]);
        Assert.Equal(stream, rig.Run(stream));
        Assert.Contains(rig.Report.Decisions, d => d is { Rule: "E5b-steps", Action: RepairAction.Observed });
        Assert.Equal(0, rig.MostHeld);
        Assert.Equal(StutterOutcome.Proven, rig.Stage.Outcome);
    }

    [Fact]
    public void SlowStream_DuplicatesItsHeadAndIsThenRepaired()
    {
        RepairRig rig = new() { GapMilliseconds = 400 };
        Assert.Equal("HelHello world, how are you",
            Repair(rig, Lane.Content, "Hel", "Hello", "Hello world", "Hello world, how", "Hello world, how are you"));
    }

    [Fact]
    public void HoldBeyondTheByteLimit_IsLetGo()
    {
        RepairRig rig = new() { HoldLimitBytes = 4 };
        Assert.Equal("HelHello world", Repair(rig, Lane.Content, "Hel", "Hello", "Hello world"));
        Assert.Equal(0, rig.MostHeld);
    }

    [Fact]
    public void TwoCallsOnOneIndex_AreToldApartByTheirIds()
    {
        static string Call(string id) => ChunkWriter.Chunk(
            $"{{\"tool_calls\":[{{\"index\":0,\"id\":\"{id}\",\"type\":\"function\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}]}}");
        string stream = Call("call_a") + Call("call_b") + "data: [DONE]\n\n";
        Assert.Equal(stream, new RepairRig().Run(stream));
    }

    [Fact]
    public void EventsAfterTheEnd_PassUntouched()
    {
        // A resumed stream goes on through the same chain after upstream's first end.
        RepairRig rig = new();
        RecordingSink sink = new();
        RepairChain chain = rig.NewChain(sink);
        using ChatEvent e = new();
        foreach (string text in new[] { "Hel", "Hello", "Hello" })
        {
            byte[] data = Encoding.UTF8.GetBytes($"{{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}");
            ChatEventDecoder.Decode(new SseFrame { Raw = data, Data = data, HasData = true }, e);
            chain.Push(e);
            if (text == "Hello") chain.Finish();
        }

        Assert.Equal(["Hel", "Hello", "Hello"], sink.Texts);
        Assert.False(chain.IsHolding);
    }

    [Fact]
    public void ChoicesOfOneStream_AreJudgedApart()
    {
        static string Say(int choice, string text) => ChunkWriter.Chunk($"{{\"content\":\"{text}\"}}", choice: choice);
        string clean = Say(0, "Hello there") + Say(1, "Hello there") + Say(0, " you") + Say(1, " all") + "data: [DONE]\n\n";
        Assert.Equal(clean, new RepairRig { Standing = StutterStanding.Seen }.Run(clean));
        string spoiled = Say(0, "Hel") + Say(1, "Hi") + Say(0, "Hello") + Say(1, " all") + Say(0, "Hello you")
            + Say(0, "Hello you two") + "data: [DONE]\n\n";
        string repaired = new RepairRig().Run(spoiled);
        Assert.Equal("Hello you two", ChunkWriter.Read(repaired, Lane.Content));
        Assert.Contains("Hi", repaired, StringComparison.Ordinal);
    }

    [Fact]
    public void LogprobsOfAnEditedEvent_AreTakenOut()
    {
        static string Say(string text) =>
            $"data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}," +
            $"\"logprobs\":{{\"content\":[{{\"token\":\"{text}\"}}]}}}}]}}\n\n";
        string repaired = new RepairRig { Deltas = DeltaHabit.Cumulative }.Run(Say("one") + Say("one two") + Say("one two three"));
        Assert.Equal("one two three", ChunkWriter.Read(repaired, Lane.Content));
        Assert.DoesNotContain("\"token\":\"one two\"", repaired, StringComparison.Ordinal);
        Assert.Contains("\"token\":\"one\"", repaired, StringComparison.Ordinal);
    }

    [Fact]
    public void ArgumentsThatJsonCannotDecideInTime_AreLetGoAtTheByteLimit()
    {
        RepairRig rig = new() { HoldLimitBytes = 60 };
        string value = new('v', 30);
        Assert.Equal($"{{\"todo\":{{\"todo\":\"{value}{value}{value}",
            Repair(rig, Lane.Arguments, "{\"todo\":", "{\"todo\":", "\"" + value, value, value));
        Assert.Contains(rig.Report.Decisions, d => d.Rule == "limit");
    }

    [Fact]
    public void MirroredThinking_IsNotTakenForARepeat()
    {
        string stream = ChunkWriter.Chunk("{\"reasoning\":\"Let me think about it\",\"reasoning_content\":\"Let me think about it\"}")
            + "data: [DONE]\n\n";
        Assert.Equal(stream, new RepairRig { Standing = StutterStanding.Seen }.Run(stream));
    }

    [Fact]
    public void RoleInARestatedEvent_StillPasses()
    {
        const string First = "{\"role\":\"assistant\",\"content\":\"Sure thing\"}";
        string stream = ChunkWriter.Chunk(First, marked: true) + ChunkWriter.Chunk(First, marked: true) + ChunkWriter.Chunk("{\"content\":\", go\"}");
        string repaired = new RepairRig { KeyOrderMark = true }.Run(stream);
        Assert.Equal("Sure thing, go", ChunkWriter.Read(repaired, Lane.Content));
        Assert.Equal(2, repaired.Split("\"assistant\"").Length - 1);
    }

    private sealed class RecordingSink : IEventSink
    {
        public List<string> Texts { get; } = [];

        public void Push(ChatEvent chatEvent) => Texts.Add(Encoding.UTF8.GetString(chatEvent.Text(chatEvent.Parts[0])));
    }

    [Fact]
    public void Decisions_CarryStateAndConfidenceAndNoText()
    {
        RepairRig rig = new();
        Repair(rig, Lane.Content, "Zeb", "Zebra", "Zebra crossing", "Zebra crossing here");
        Assert.All(rig.Report.Decisions, d => Assert.DoesNotContain("Zeb", d.Detail ?? "", StringComparison.Ordinal));
        Assert.Contains(rig.Report.Decisions, d => d.Detail!.StartsWith("Recovering confidence=0.", StringComparison.Ordinal));
        Assert.Contains(rig.Report.Decisions, d => d.Detail!.StartsWith("Stuttering confidence=", StringComparison.Ordinal));
    }
}
