using System.Text;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Ledger;
using QwenProxy.Observability;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Observability;

public sealed class TerminalLoggerTests
{
    [Theory]
    [InlineData("qwen3.7-plus", "plan", "/v1/chat/completions", "complete")]
    [InlineData("a-model-with-a-very-long-name-that-goes-on-and-on", "an-account-of-a-long-name", "/v1/some/very/long/path/to/something", "first_token_timeout")]
    public void RequestLine_FitsInAHundredColumns(string model, string account, string path, string end)
    {
        MemoryStream output = new();
        using (TerminalLogger terminal = new(output, new FakeClock()))
        {
            LedgerEntry entry = new()
            {
                Time = DateTimeOffset.UnixEpoch,
                RequestId = "req_778e01c59b000003",
                Dialect = "openai.chat",
                AskedModel = model,
                ServedModel = model,
                Account = account,
                Attempts = 2,
                Status = end == "complete" ? 200 : 504,
                End = end,
                Duration = TimeSpan.FromMilliseconds(12345.6),
            };
            RequestLog.Request(terminal.CreateLogger("t"), new SettledRequest(entry, "POST", path, "127.0.0.1", "agent/1.0", Stream: true));
        }

        string line = Encoding.UTF8.GetString(output.ToArray()).TrimEnd('\n');
        Assert.InRange(line.Length, 1, TerminalLogger.Columns);
        Assert.Contains(end == "complete" ? "200" : "504 first_token_timeout", line, StringComparison.Ordinal);
        Assert.Contains("12.3 s", line, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', line);
    }

    [Fact]
    public void Warning_IsMarkedAndTheStartIsLeftToItsOwnLines()
    {
        MemoryStream output = new();
        FakeClock clock = new();
        using TerminalLogger terminal = new(output, clock);
        ILogger logger = terminal.CreateLogger("t");
        RequestLog.SignedOut(logger, "me", "refused");
        logger.Log(LogLevel.Information, new EventId(TerminalLogger.StartEvent), "started", null, (text, _) => text);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.EndsWith(" warning: Account me is signed out: refused\n", Encoding.UTF8.GetString(output.ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public void TerminalThatIsGone_HurtsNobody()
    {
        FakeClock clock = new();
        using TerminalLogger terminal = new(new GoneStream(), clock);

        RequestLog.SignedOut(terminal.CreateLogger("t"), "me", "refused");
        clock.Advance(TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void ControlCharacters_DoNotReachTheTerminal()
    {
        MemoryStream output = new();
        using (TerminalLogger terminal = new(output, new FakeClock())) RequestLog.SignedOut(terminal.CreateLogger("t"), "me", "red \e[31m text");

        Assert.DoesNotContain('\e', Encoding.UTF8.GetString(output.ToArray()));
    }

    private sealed class GoneStream : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("Input/output error");
    }
}
