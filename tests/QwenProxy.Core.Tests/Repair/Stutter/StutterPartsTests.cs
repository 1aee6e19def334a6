using System.Buffers;
using System.Text;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Tests.Repair.Corpus;

namespace QwenProxy.Core.Tests.Repair.Stutter;

public sealed class StutterPartsTests
{
    [Theory]
    [InlineData("{", false, false)]
    [InlineData("{\"a\": [1, -2.5e3, \"x\\\"y\", true, null, {}]} ", false, true)]
    [InlineData("[]", false, true)]
    [InlineData("{{", true, false)]
    [InlineData("{\"a\" 1", true, false)]
    [InlineData("{\"a\":1]", true, false)]
    [InlineData("{}{}", true, true)]
    [InlineData("{\"a\":1,}", true, false)]
    [InlineData("[1,]", true, false)]
    [InlineData("nul", false, false)]
    [InlineData("nulx", true, false)]
    [InlineData("12", false, false)]
    public void JsonPrefix_TellsWhatMayStillBecomeJson(string text, bool broken, bool complete)
    {
        JsonPrefix prefix = default;
        foreach (byte b in Encoding.UTF8.GetBytes(text)) prefix.Feed([b]);
        Assert.Equal(broken, prefix.IsBroken);
        Assert.Equal(complete, prefix.IsComplete);
    }

    [Fact]
    public void JsonTooDeep_IsGivenUpNotCalledBroken()
    {
        JsonPrefix prefix = default;
        prefix.Feed(Encoding.ASCII.GetBytes(new string('[', 65)));
        Assert.True(prefix.IsLost);
        Assert.False(prefix.IsBroken);
    }

    [Fact]
    public void HealthyArguments_AreNeverCalledBroken()
    {
        Random random = new(StutterCorpus.FixedSeed);
        for (int i = 0; i < 500; i++)
        {
            JsonPrefix prefix = default;
            prefix.Feed(Encoding.UTF8.GetBytes(CorpusTexts.Arguments(random)));
            Assert.True(prefix.IsComplete && !prefix.IsBroken);
        }
    }

    [Theory]
    [InlineData("hahahaha", 0, true)]
    [InlineData("ha", 0, true)]
    [InlineData("    ", 0, false)]
    [InlineData("20122012", 0, true)]
    [InlineData("Hello", 5, true)]
    [InlineData(" Hello", 6, false)]
    [InlineData("import os\n", 10, false)]
    [InlineData("value|", 6, false)]
    [InlineData("call(me)", 8, false)]
    [InlineData("今天天气很好", 12, false)]
    [InlineData("- first item", 12, true)]
    [InlineData("**bold**", 8, true)]
    public void TextShape_WeighsOnlyWhatHonestWritersDoNotRepeat(string text, int weight, bool openEnd)
    {
        TextShape shape = TextShape.Of(Encoding.UTF8.GetBytes(text));
        Assert.Equal(weight, shape.Weight);
        Assert.Equal(openEnd, shape.OpenEnd);
    }

    [Fact]
    public void TextHash_IsTheSameHoweverTheTextWasCut()
    {
        byte[] text = Encoding.UTF8.GetBytes("The quick lantern, 今天, and again the quick lantern.");
        for (int cut = 0; cut <= text.Length; cut++)
        {
            TextHash hash = default;
            hash.Add(text.AsSpan(0, cut));
            hash.Add(text.AsSpan(cut));
            Assert.True(hash.Is(TextHash.Of(text)));
            Assert.True(TextHash.Of(text.AsSpan(0, cut)).BeginsWithThis(text));
        }

        byte[] other = [.. text];
        other[40] ^= 1;
        Assert.False(TextHash.Of(text).BeginsWithThis(other));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(500)]
    public void TextHash_AddsUpOverPiecesOfAnySize(int size)
    {
        byte[] text = new byte[5000];
        new Random(StutterCorpus.FixedSeed).NextBytes(text);
        TextHash hash = default;
        for (int at = 0; at < text.Length; at += size) hash.Add(text.AsSpan(at, Math.Min(size, text.Length - at)));
        Assert.True(hash.Is(TextHash.Of(text)));
    }

    [Fact]
    public void Confidence_RanksGrowthAboveRewind()
    {
        double growth = StutterConfidence.Of(Relation.Extends, 1, 1, 20, "Hello"u8, "Hello wor"u8).Total;
        double repeat = StutterConfidence.Of(Relation.Equals, 0, 1, 20, "Hello"u8, "Hello"u8).Total;
        double rewind = StutterConfidence.Of(Relation.Shorter, 0, 1, 900, "Hello there and so on"u8, "H"u8).Total;
        Assert.True(growth > repeat && repeat > rewind);
        Assert.True(rewind < StutterConfidence.WorthHolding && repeat > StutterConfidence.WorthHolding);
    }

    [Fact]
    public void Prior_IsLearnedPerHostAndModelAndSurvivesStorage()
    {
        StutterPrior prior = new();
        Assert.Equal(StutterStanding.None, prior.StandingOf("h", "m"));
        prior.Record("h", "m", StutterOutcome.Proven);
        prior.Record("h", "m", StutterOutcome.Unknown);
        Assert.Equal(StutterStanding.None, prior.StandingOf("h", "m"));
        for (int i = 0; i < 2; i++) prior.Record("h", "m", StutterOutcome.Proven);
        Assert.Equal(StutterStanding.Seen, prior.StandingOf("h", "m"));
        ArrayBufferWriter<byte> stored = new();
        prior.WriteTo(stored);
        Assert.True(StutterPrior.TryRead(stored.WrittenMemory, out StutterPrior read));
        Assert.Equal(StutterStanding.Seen, read.StandingOf("h", "m"));
        Assert.Equal(StutterStanding.None, read.StandingOf("h", "other"));
    }

    [Fact]
    public void Prior_ForgetsAnUpstreamThatWasMended()
    {
        StutterPrior prior = new();
        for (int i = 0; i < 20; i++) prior.Record("h", "m", StutterOutcome.Proven);
        for (int i = 0; i < 1000; i++) prior.Record("h", "m", StutterOutcome.Clean);
        Assert.Equal(StutterStanding.None, prior.StandingOf("h", "m"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"upstreams\":3}")]
    [InlineData("{\"upst")]
    public void PriorThatIsNoPrior_IsRefused(string json) => Assert.False(StutterPrior.TryRead(Encoding.UTF8.GetBytes(json), out _));

    [Fact]
    public void PriorWithOddEntries_KeepsTheGoodOnes()
    {
        byte[] json = Encoding.UTF8.GetBytes("{\"upstreams\":[7,{\"host\":1},{\"host\":\"h\",\"model\":\"m\",\"proven\":9,\"clean\":\"x\"}]}");
        Assert.True(StutterPrior.TryRead(json, out StutterPrior prior));
        Assert.Equal(StutterStanding.Seen, prior.StandingOf("h", "m"));
    }

    [Fact]
    public void Prior_HoldsALimitedNumberOfUpstreams()
    {
        StutterPrior prior = new();
        for (int i = 0; i < 9; i++) prior.Record("kept", "m", StutterOutcome.Proven);
        for (int i = 0; i < 2000; i++) prior.Record($"host{i}", "m", StutterOutcome.Clean);
        ArrayBufferWriter<byte> stored = new();
        prior.WriteTo(stored);
        Assert.Equal(512, Encoding.UTF8.GetString(stored.WrittenSpan).Split("\"host\"").Length - 1);
        Assert.Equal(StutterStanding.Seen, prior.StandingOf("kept", "m"));
    }

    [Theory]
    [InlineData(-1, AuditVerdict.NoUsage)]
    [InlineData(100, AuditVerdict.StutterMissed)]
    [InlineData(400, AuditVerdict.Agrees)]
    public void Audit_ComparesUsageWithTheText(int tokens, AuditVerdict verdict)
    {
        string text = string.Join(' ', Enumerable.Range(0, 300).Select(i => $"w{i}"));
        RepairRig rig = new();
        string usage = tokens < 0 ? "" : $"data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n\n";
        rig.Run(ChunkWriter.Stream(Lane.Content, ["Well, ", text], done: false) + usage + "data: [DONE]\n\n");
        Assert.Equal(verdict, rig.Stage.Audit.Verdict);
        Assert.Equal(tokens, rig.Stage.Audit.CompletionTokens);
    }

    [Fact]
    public void AuditOfARepairThatUsageContradicts_IsDoubtful()
    {
        string a = string.Join(' ', Enumerable.Range(0, 30).Select(i => $"w{i}"));
        RepairRig rig = new();
        Delta last = new(a + " b c d e") { Tokens = 80 };
        rig.Run(ChunkWriter.Stream(Lane.Content, [a, a + " b c", last]));
        Assert.True(rig.Report.RemovedBytes > 0);
        Assert.Equal(AuditVerdict.RepairDoubtful, rig.Stage.Audit.Verdict);
    }
}
