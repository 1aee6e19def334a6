using System.Globalization;
using System.Text;
using QwenProxy.Console;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console;

public sealed class ReplayCommandTests : IDisposable
{
    private const string End = "data: [DONE]\n\n";

    private readonly TemporaryFolder _folder = new();
    private readonly StringWriter _out = new(CultureInfo.InvariantCulture);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task FirstEventSentTwice_IsShownOnceAndTold()
    {
        // The first event and its repetition have the finish reason before the delta; the rest has it behind, as the portal's serialiser does.
        string doubled = Restated("**") + Restated("**") + Text("A Title") + Text(" and more") + Finish() + End;
        await RunAsync(doubled);
        Assert.Equal(Restated("**") + Text("A Title") + Text(" and more") + Finish() + End, _out.ToString());
        Assert.Contains("event 3: stutter E3-key-order removed 2 bytes of 0/content", _error.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("stutter proven; the stream is complete\n", _error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"error\":{\"message\":\"no\"}}\n")]
    [InlineData("<!DOCTYPE html>\r\n<p>data: x</p>\r\n")]
    [InlineData("")]
    public async Task WhatIsNoEventStream_Exits2(string content)
    {
        string file = _folder.Of("x.sse");
        await File.WriteAllTextAsync(file, content, TestContext.Current.CancellationToken);
        Assert.Equal(ExitCodes.NotFound, await CommandAsync(new ReplayOptions(file, "auto", "chat")));
        Assert.Contains("is no event stream", _error.ToString(), StringComparison.Ordinal);
        Assert.Empty(_out.ToString());
    }

    [Fact]
    public async Task FileThatIsNotThere_Exits2()
    {
        string file = _folder.Of("none.sse");
        Assert.Equal(ExitCodes.NotFound, await CommandAsync(new ReplayOptions(file, "auto", "chat")));
        Assert.Contains($"There is no file {file}", _error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("off")]
    [InlineData("observe")]
    public async Task ModesThatDoNotRepair_GiveTheCaptureBack(string mode)
    {
        string doubled = Restated("**") + Restated("**") + Text("A Title") + Finish() + End;
        await RunAsync(doubled, o => o with { Repair = mode });
        Assert.Equal(doubled, _out.ToString());
        Assert.Equal(mode == "observe", _error.ToString().Contains("observed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Profile_ComesFromTheOptionElseFromTheName()
    {
        // A first event said again with more behind it: the order of the keys is a proof at the portal and a coincidence elsewhere.
        string grown = Restated("**") + Restated("**A") + Text(" Title") + Finish() + End;
        await RunAsync(grown, file: "20260101T000000000Z-req_1-000001.generic.sse");
        Assert.Equal(grown, _out.ToString());
        _out.GetStringBuilder().Clear();
        await RunAsync(grown, o => o with { Profile = "qwen-portal" }, "20260101T000000000Z-req_1-000001.generic.sse");
        Assert.Equal(Restated("**") + Restated("A") + Text(" Title") + Finish() + End, _out.ToString());
    }

    [Theory]
    [InlineData("messages", "event: message_start", "event: message_stop")]
    [InlineData("responses", "event: response.created", "event: response.completed")]
    public async Task Dialect_DecidesTheForm(string dialect, string first, string last)
    {
        await RunAsync(Text("Hello") + Finish() + End, o => o with { Dialect = dialect });
        Assert.StartsWith(first, _out.ToString(), StringComparison.Ordinal);
        Assert.Contains(last, _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("\"Hello\"", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TwoRuns_GiveTheSameBytes()
    {
        await RunAsync(Text("Hello") + Finish() + End, o => o with { Dialect = "messages" });
        string once = _out.ToString();
        _out.GetStringBuilder().Clear();
        await RunAsync(Text("Hello") + Finish() + End, o => o with { Dialect = "messages" });
        Assert.Equal(once, _out.ToString());
    }

    [Fact]
    public async Task CutCapture_EndsWithTheErrorEvent()
    {
        await RunAsync(Text("Hello"));
        Assert.StartsWith(Text("Hello") + "data: {\"error\":", _out.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("the stream is failed: ", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LeakedCall_BecomesACallWhenTheRequestIsKnown()
    {
        string leaked = Text("<tool_call>\\n{\\\"name\\\": \\\"run\\\", \\\"arguments\\\": {\\\"cmd\\\": \\\"ls\\\"}}\\n</tool_call>") + Finish() + End;
        string request = _folder.Of("request.json");
        await File.WriteAllTextAsync(
            request,
            """{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"run","parameters":{"type":"object","properties":{"cmd":{"type":"string"}}}}}]}""",
            TestContext.Current.CancellationToken);
        await RunAsync(leaked);
        Assert.DoesNotContain("tool_calls", _out.ToString(), StringComparison.Ordinal);
        _out.GetStringBuilder().Clear();
        await RunAsync(leaked, o => o with { RequestFile = request });
        Assert.Contains("\"tool_calls\"", _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("call_000001", _out.ToString(), StringComparison.Ordinal);
    }

    private static string Restated(string text) => $"data: {{\"choices\":[{{\"finish_reason\":null,\"logprobs\":null,\"delta\":{{\"content\":\"{text}\"}},\"index\":0}}],\"usage\":null,\"id\":\"c1\"}}\n\n";

    private static string Text(string text) => $"data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null,\"index\":0,\"logprobs\":null}}],\"usage\":null,\"id\":\"c1\"}}\n\n";

    private static string Finish() => "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\",\"index\":0,\"logprobs\":null}],\"usage\":null,\"id\":\"c1\"}\n\n";

    private async Task RunAsync(string capture, Func<ReplayOptions, ReplayOptions>? with = null, string file = "capture.sse")
    {
        string path = _folder.Of(file);
        await File.WriteAllBytesAsync(path, Encoding.UTF8.GetBytes(capture), TestContext.Current.CancellationToken);
        ReplayOptions options = new(path, "auto", "chat");
        ReplayCommand command = new(new Terminal(_out, _error), new FakeClock());
        Assert.Equal(ExitCodes.Done, await command.RunAsync(with is null ? options : with(options), TestContext.Current.CancellationToken));
    }

    private Task<int> CommandAsync(ReplayOptions options) =>
        new ReplayCommand(new Terminal(_out, _error), new FakeClock()).RunAsync(options, TestContext.Current.CancellationToken);
}
