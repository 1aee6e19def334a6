using System.Text;
using System.Text.Json;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.Thinking;

/// <summary>Thinking in the content of which only the closing tag comes.</summary>
public sealed class LoneCloseTests
{
    private const string Call = "<tool_call>\n{\"name\": \"run\", \"arguments\": {\"command\": \"ls\"}}\n</tool_call>";

    private static RepairRun Of(string sse, bool whole, bool begins, out LoneClose outcome)
    {
        AnswerTextStage? text = null;
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(ThinkingCallTests.RunTools, whole: whole, beginsThinking: begins), c =>
        {
            RepairStage[] stages = ThinkingCallTests.Stages(c, RepairMode.On);
            text = (AnswerTextStage)stages[0];
            return stages;
        });
        outcome = text!.LoneClose;
        return run;
    }

    public static TheoryData<string, string> Whole => new()
    {
        { "thoughts, many\n</think>\n\nThe answer.", "The answer.|thoughts, many||stop" },
        { "thoughts</think>The answer.", "The answer.|thoughts||stop" },
        { "a\n\nb < c `</think>`\n</thinking>\r\n\r\nThe answer.", "The answer.|a\n\nb < c `</think>`||stop" },
        { $"I could {Call} but no.\n</think>\n\nThe answer.", $"The answer.|I could {Call} but no.||stop" },
        { $"I do it.\n{Call}\n</think>\n\n", "|I do it.\n|run({\"command\": \"ls\"})|tool_calls" },
        { $"I do it.\n</think>\n\nNow:\n{Call}", "Now:\n|I do it.|run({\"command\": \"ls\"})|tool_calls" },
        { $"Look:\n{Call}\nand {Call}", "Look:\n\nand |" + "|run({\"command\": \"ls\"})+run({\"command\": \"ls\"})|tool_calls" },
        { "</think>\n\nThe answer.", "The answer.|||stop" },
        { "No tags at all, a < b.", "No tags at all, a < b.|||stop" },
        { "<think>\nx\n</think>\n\ny </think> z", "y </think> z|x||stop" },
    };

    [Theory]
    [MemberData(nameof(Whole))]
    public void WholeAnswer_CutAnywhere_WhatStandsBeforeTheTagIsReasoning(string text, string seen)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Of(Sse.Stream(pieces), whole: true, begins: false, out _);
            Assert.Equal(seen, run.Seen);
            Assert.Equal(0, run.Context.HeldBytes);
        }
    }

    [Fact]
    public void WholeAnswerWithoutTag_ReachesTheFoldUntouched()
    {
        string sse = Sse.Stream(Sse.Every("Plain text, a < b, `</think>`.", 4));
        Assert.Equal(sse, Of(sse, whole: true, begins: false, out _).Stream);
    }

    [Theory]
    [InlineData("The model closes its thoughts with </think>, and then answers.")]
    [InlineData("Two tags: <think> opens.\n</think>\ncloses.")]
    [InlineData("He typed \"<think>hi</think>\" twice.\n\nAnd then nothing.")]
    [InlineData("Use `<think>`…`</think>`.\n\n```\n<think>\nx\n</think>\n```\n")]
    [InlineData("The tag is **</think>**.\n\n| tag |\n|---|\n|</think>|\n")]
    [InlineData("Das Ende steht in „</think>“ und (</think>).")]
    [InlineData("    </think>\n\nis indented code.")]
    [InlineData("1. `</think>`\n2. '</think>'\n")]
    [InlineData("<p>thoughts</p></think_more>")]
    public void WholeAnswerThatSpeaksOfTheTag_ReachesTheFoldUntouched(string text)
    {
        foreach (string[] pieces in Sse.Cuts(text)) Assert.Equal(Sse.Stream(pieces), Of(Sse.Stream(pieces), whole: true, begins: false, out _).Stream);
    }

    [Fact]
    public void WholeAnswerWithThinkingInItsField_OnlyLosesTheTag()
    {
        string sse = Sse.Text("hm", "reasoning_content") + Sse.Text("said\n</think>\n\nmore") + Sse.End();
        Assert.Equal("said\nmore|hm||stop", Of(sse, whole: true, begins: false, out _).Seen);
    }

    public static TheoryData<string, string> Learned => new()
    {
        { "thoughts, many\n</think>\n\nThe answer.", "The answer.|thoughts, many||stop" },
        { "\nthoughts</think>The answer.", "The answer.|\nthoughts||stop" },
        { "<think>\nthoughts\n</think>\n\nThe answer.", "The answer.|thoughts||stop" },
        { $"I could {Call} but no.\n</think>\n\nThe answer.", $"The answer.|I could {Call} but no.||stop" },
        { $"I do it.\n{Call}\n</think>", "|I do it.\n|run({\"command\": \"ls\"})|tool_calls" },
    };

    [Theory]
    [MemberData(nameof(Learned))]
    public void StreamOfAnUpstreamThatThinksInTheContent_CutAnywhere_IsThinkingUpToTheTag(string text, string seen)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Of(Sse.Stream(pieces), whole: false, begins: true, out LoneClose outcome);
            Assert.Equal(seen, run.Seen);
            Assert.Equal(text[0] == '<' ? LoneClose.Unknown : LoneClose.Seen, outcome);
        }
    }

    [Theory]
    [InlineData("Just an answer,\n\nin two parts.\n", "Just an answer,\n\nin two parts.\n|Just an answer,\n\nin two parts.\n||stop")]
    [InlineData("Look: " + Call, "Look: |Look: |run({\"command\": \"ls\"})|tool_calls")]
    public void LearnedStreamWithoutTheTag_GivesItsTextBack(string text, string seen)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Of(Sse.Stream(pieces), whole: false, begins: true, out LoneClose outcome);
            Assert.Equal(seen, run.Seen);
            Assert.Equal(LoneClose.Missing, outcome);
        }
    }

    [Fact]
    public void LearnedStreamThatEndsInARealCall_GivesItsTextBackBeforeIt()
    {
        string tool = Sse.Tool("{\"index\":0,\"id\":\"r\",\"type\":\"function\",\"function\":{\"name\":\"run\",\"arguments\":\"{}\"}}");
        RepairRun run = Of(Sse.Text("I look.") + tool + Sse.End("tool_calls"), whole: false, begins: true, out LoneClose outcome);
        Assert.Equal("I look.|I look.|run({})|tool_calls", run.Seen);
        Assert.Equal(LoneClose.Missing, outcome);
        Assert.True(run.Stream.IndexOf("\"content\":\"I look.\"", StringComparison.Ordinal) < run.Stream.IndexOf("\"tool_calls\":[", StringComparison.Ordinal));
    }

    [Fact]
    public void LearnedStreamThatWasCut_GivesItsTextBack_AndTeachesNothing()
    {
        RepairRun run = Of(Sse.Stream(["half a"], finish: "length"), whole: false, begins: true, out LoneClose outcome);
        Assert.Equal("half a|half a||length", run.Seen);
        Assert.Equal(LoneClose.Unknown, outcome);
    }

    [Fact]
    public void LearnedStreamWithThinkingInItsField_IsReadAsUsual()
    {
        string sse = Sse.Text("hm", "reasoning_content") + Sse.Text("Hello") + Sse.End();
        Assert.Equal(sse, Of(sse, whole: false, begins: true, out _).Stream);
        RepairRun late = Of(Sse.Text("Hello") + Sse.Text("hm", "reasoning_content") + Sse.Text(" you") + Sse.End(), whole: false, begins: true, out _);
        Assert.Equal("Hello you|Hellohm||stop", late.Seen);
    }

    [Fact]
    public void StreamWithALoneTag_ShowsTextAndTeaches()
    {
        RepairRun run = Of(Sse.Stream(["thoughts\n", "</think>\n\n", "answer"]), whole: false, begins: false, out LoneClose outcome);
        Assert.Equal("thoughts\nanswer|||stop", run.Seen);
        Assert.Equal(LoneClose.Seen, outcome);
        Of(Sse.Stream(["</think>\n\nanswer"]), whole: false, begins: false, out outcome);
        Assert.Equal(LoneClose.Unknown, outcome);
    }

    [Fact]
    public void Prior_LearnsAfterTwoStreams_AndUnlearnsAfterOne()
    {
        ThinkingPrior prior = new();
        prior.Record("a", "m", LoneClose.Seen);
        prior.Record("a", "m", LoneClose.Unknown);
        Assert.False(prior.IsLearned("a", "m"));
        prior.Record("a", "m", LoneClose.Seen);
        Assert.True(prior.IsLearned("a", "m"));
        Assert.False(prior.IsLearned("a", "n"));
        System.Buffers.ArrayBufferWriter<byte> file = new();
        prior.WriteTo(file);
        Assert.True(ThinkingPrior.TryRead(file.WrittenMemory, out ThinkingPrior read));
        Assert.True(read.IsLearned("a", "m"));
        read.Record("a", "m", LoneClose.Missing);
        Assert.False(read.IsLearned("a", "m"));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{\"models\":1}")]
    [InlineData("{")]
    public void DamagedPrior_IsRefused(string json) => Assert.False(ThinkingPrior.TryRead(Encoding.UTF8.GetBytes(json), out _));

    [Fact]
    public void OddEntriesOfAPrior_AreLeftOut()
    {
        string json = "{\"models\":[1,{},{\"account\":\"a\"},{\"account\":\"a\",\"model\":\"m\",\"streams\":\"x\"},{\"account\":\"a\",\"model\":\"n\",\"streams\":99}]}";
        Assert.True(ThinkingPrior.TryRead(Encoding.UTF8.GetBytes(json), out ThinkingPrior prior));
        Assert.False(prior.IsLearned("a", "m"));
        Assert.True(prior.IsLearned("a", "n"));
        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(json).RootElement.ValueKind);
    }
}
