using System.Text;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using QwenProxy.Core.Resume;
using static QwenProxy.Core.Tests.Resume.Stream;

namespace QwenProxy.Core.Tests.Resume;

public sealed class PrefillRequestTests
{
    private const string Body = """{"model":"m", "messages":[{"role":"user","content":"q"}], "seed": 1.0}""";

    [Fact]
    public void PartialStyle_AppendsThePrefixAndSwitchesThinkingOff() => Assert.Equal(
        """{"model":"m", "messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a \"b\"","partial":true}], "seed": 1.0,"enable_thinking":false}""",
        Build(Body, PrefillStyle.Partial, "a \"b\""));

    [Fact]
    public void ContinueStyle_AsksForNoGenerationPrompt() => Assert.Equal(
        """{"model":"m", "messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}], "seed": 1.0,"continue_final_message":true,"add_generation_prompt":false,"chat_template_kwargs":{"enable_thinking":false}}""",
        Build(Body, PrefillStyle.ContinueFinalMessage, "a"));

    [Fact]
    public void SwitchesTheClientWrote_AreReplacedInPlace()
    {
        Assert.Equal(
            """{"enable_thinking":false,"messages":[{"role":"user"},{"role":"assistant","content":"a","partial":true}]}""",
            Build("""{"enable_thinking":true,"messages":[{"role":"user"}]}""", PrefillStyle.Partial, "a"));
        Assert.Equal(
            """{"chat_template_kwargs":{"x":1,"enable_thinking":false},"add_generation_prompt":false,"messages":[{"role":"user"},{"role":"assistant","content":"a"}],"continue_final_message":true}""",
            Build("""{"chat_template_kwargs":{"x":1},"add_generation_prompt":true,"messages":[{"role":"user"}]}""", PrefillStyle.ContinueFinalMessage, "a"));
        Assert.Equal(
            """{"chat_template_kwargs":{"enable_thinking":false},"messages":[{"role":"user"},{"role":"assistant","content":"a"}],"continue_final_message":true,"add_generation_prompt":false}""",
            Build("""{"chat_template_kwargs":{"enable_thinking":true},"messages":[{"role":"user"}]}""", PrefillStyle.ContinueFinalMessage, "a"));
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user"},{"role":"assistant","content":"x"}]}""", "a")]
    [InlineData("""{"messages":[]}""", "a")]
    [InlineData("""{"messages":"x"}""", "a")]
    [InlineData("""{"model":"m"}""", "a")]
    [InlineData(Body, "")]
    public void AnswerThatCannotBePrefilled_GivesNull(string body, string text) => Assert.Null(Build(body, PrefillStyle.Partial, text));

    [Fact]
    public void Record_ThatGrowsPastItsLimit_LetsGoAndIsNotResumed()
    {
        using SentAnswer sent = new(maxBytes: 10);
        using Stream client = new() { Sent = sent };
        client.Feed(Role(), Say("12345678"));
        Assert.False(sent.Overflowed);
        client.Feed(Say("9abc"), Say("more"), End());
        Assert.True(sent.Overflowed);
        Assert.True(sent.IsFinished);
        Assert.Equal(0, sent.Find(0)!.Content.Length);
        Assert.False(new ResumePolicy().CanResume(sent, OwnErrors.Cut()));
    }

    [Fact]
    public void Record_KnowsWhatWasSent()
    {
        using Stream client = new();
        Assert.True(client.Sent.IsEmpty);
        client.Feed(Role());
        Assert.True(client.Sent.IsEmpty);
        client.Feed(Think("t"), Say("s"), Call(0, "id0", "f", "{"), Arguments(0, "}"));
        SentChoice choice = client.Sent.Find(0)!;
        Assert.Equal(("t", "s"), (Encoding.UTF8.GetString(choice.Reasoning), Encoding.UTF8.GetString(choice.Content)));
        Assert.Equal(("id0", "f", "{}"), (choice.Calls[0].Id, choice.Calls[0].Name, Encoding.UTF8.GetString(choice.Calls[0].Arguments)));
        Assert.Equal("\"c1\"", Encoding.UTF8.GetString(client.Sent.IdToken!));
        Assert.Equal("m", client.Sent.Model);
        Assert.False(client.Sent.IsFinished);
        client.Feed(End());
        Assert.True(client.Sent.IsFinished);
    }

    [Fact]
    public void Resumes_AreThreeAndARefusedPrefillIsNotOneOfThem()
    {
        using Stream client = new();
        client.Feed(Role(), Say("a"));
        ResumePolicy policy = new();
        Assert.Equal(ResumeWay.Prefill, policy.Choose(client.Sent, PrefillStyle.Partial, "a", "m"));
        Assert.True(policy.NoteRefusedPrefill("a", "m", Resilience.World.Fail(FaultKind.InvalidRequest)));
        Assert.False(policy.NoteRefusedPrefill("a", "m", Resilience.World.Fail(FaultKind.ServerError)));
        Assert.Equal(0, policy.Resumes);
        Assert.Equal(ResumeWay.Replay, policy.Choose(client.Sent, PrefillStyle.Partial, "a", "m"));
        Assert.Equal(ResumeWay.Prefill, policy.Choose(client.Sent, PrefillStyle.Partial, "b", "m"));
        for (int i = 0; i < 3; i++)
        {
            Assert.True(policy.CanResume(client.Sent, OwnErrors.Cut()));
            policy.NoteResume();
        }

        Assert.False(policy.CanResume(client.Sent, OwnErrors.Cut()));
    }

    [Fact]
    public void FaultsNoStreamCanMend_AreNotResumed()
    {
        using Stream client = new();
        client.Feed(Role(), Say("a"));
        ResumePolicy policy = new();
        Assert.False(policy.CanResume(client.Sent, OwnErrors.LifetimeLimit(TimeSpan.FromSeconds(1))));
        Assert.False(policy.CanResume(client.Sent, OwnErrors.ClientGone()));
        Assert.False(policy.CanResume(client.Sent, Resilience.World.Fail(FaultKind.ContentFilter)));
        Assert.True(policy.CanResume(client.Sent, OwnErrors.IdleTimeout(TimeSpan.FromSeconds(1))));
        client.Feed(End());
        Assert.False(policy.CanResume(client.Sent, OwnErrors.Cut()));
    }

    [Fact]
    public void LastResume_GoesToAFallbackModelThatHasNotBeenAsked()
    {
        ModelRoute main = new("m", [new Candidate("a", "m", CandidateState.Ready)]);
        ModelRoute fallback = new("n", [new Candidate("a", "n", CandidateState.Ready)]);
        ModelRoute cooling = new("n", [new Candidate("a", "n", CandidateState.Cooling)]);
        ResumePolicy policy = new();
        Assert.Equal("m", policy.Routes([main, fallback], ["m"])[0].Model);
        policy.NoteResume();
        policy.NoteResume();
        Assert.Equal("n", policy.Routes([main, fallback], ["m"])[0].Model);
        Assert.Equal("m", policy.Routes([main, fallback], ["m", "n"])[0].Model);
        Assert.Equal("m", policy.Routes([main, cooling], ["m"])[0].Model);
        Assert.Equal("m", policy.Routes([main], ["m"])[0].Model);
    }

    [Fact]
    public void Usage_CountsTheLastReportOfEachStreamAndKeepsTheParts()
    {
        UsageSum usage = new();
        Assert.Null(usage.Total());
        usage.Note("""{"prompt_tokens":5,"completion_tokens":1}"""u8);
        usage.Note("""{"prompt_tokens":5,"completion_tokens":2}"""u8);
        Assert.False(usage.HasEarlier);
        usage.EndStream();
        usage.EndStream();
        usage.Note("""{"prompt_tokens":7,"completion_tokens":1.5,"cost":"free"}"""u8);
        Assert.True(usage.HasEarlier);
        Assert.Equal("""{"prompt_tokens":12,"completion_tokens":3.5,"cost":"free"}""", Encoding.UTF8.GetString(usage.Total()!));
        Assert.Equal(2, usage.Parts.Count);
        Assert.Null(usage.Parts[1]);
    }

    private static string? Build(string body, PrefillStyle style, string text)
    {
        using Stream client = new();
        client.Feed(Role(), Say(text));
        byte[]? built = PrefillRequest.Build(Encoding.UTF8.GetBytes(body), client.Sent, style);
        return built is null ? null : Encoding.UTF8.GetString(built);
    }
}
