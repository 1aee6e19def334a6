using System.Globalization;
using System.Text;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>An upstream that pauses is waited for without a buffer. What it says afterwards, how it ends and when its client leaves must be the same.</summary>
public sealed class SlowStreamTests
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(700);
    private static readonly string[] s_events =
    [
        Event("One "), Event("two "), Event("three "), Event("four."),
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ];

    [Theory]
    [InlineData("close")]
    [InlineData("chunked")]
    [InlineData("length")]
    public async Task PausesBetweenEvents_LoseNothingInAnyFraming(string framing)
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            await BeginAsync(exchange, framing);
            foreach (string text in s_events)
            {
                // The first piece ends the wait; the second one comes to a buffer that was just made.
                await exchange.SendAsync(Framed(text[..7], framing));
                await Task.Delay(5, exchange.Stopped);
                await exchange.SendAsync(Framed(text[7..], framing));
                await Task.Delay(s_pause, exchange.Stopped);
            }

            if (framing == "chunked") await exchange.SendAsync("0\r\n\r\n");
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && StreamText.IsComplete(text), text);
        Assert.Equal(string.Concat(s_events), text);
    }

    [Fact]
    public async Task CutDuringAPause_IsACut()
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            await BeginAsync(exchange, "chunked");
            foreach (string text in s_events.Take(2))
            {
                await exchange.SendAsync(Framed(text, "chunked"));
                await Task.Delay(s_pause, exchange.Stopped);
            }
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Resume = false, Retry = s.Retry with { MaxAttempts = 1 } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly);
        Assert.NotNull(StreamText.Error(text));
        Assert.Equal("One two ", StreamText.Content(text));
    }

    [Fact]
    public async Task ClientThatLeavesDuringAPause_EndsTheRequestUpstream()
    {
        TaskCompletionSource gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await BeginAsync(exchange, "chunked");
            await exchange.SendAsync(Framed(s_events[0], "chunked"));
            await Task.Delay(s_pause, exchange.Stopped);
            await exchange.SendAsync(Framed(s_events[1], "chunked"));
            await exchange.WaitForHangUpAsync();
            gone.SetResult();
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using (HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true)))
        {
            Stream body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
            StringBuilder read = new();
            byte[] buffer = new byte[1024];
            while (!read.ToString().Contains("two", StringComparison.Ordinal)) read.Append(Encoding.UTF8.GetString(buffer, 0, await body.ReadAsync(buffer, TestContext.Current.CancellationToken)));
        }

        await gone.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 1, TimeSpan.FromSeconds(20));
        Assert.Contains(" 499 ", HangUpTests.RequestLines(proxy)[0], StringComparison.Ordinal);
    }

    private static async Task BeginAsync(RawExchange exchange, string framing)
    {
        string header = framing switch
        {
            "chunked" => "Transfer-Encoding: chunked",
            "length" => $"Content-Length: {s_events.Sum(e => e.Length).ToString(CultureInfo.InvariantCulture)}",
            _ => "Connection: close",
        };
        await exchange.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{header}\r\n\r\n");
    }

    private static string Framed(string text, string framing) => framing == "chunked" ? $"{text.Length:x}\r\n{text}\r\n" : text;

    private static string Event(string text) => $"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n";
}
