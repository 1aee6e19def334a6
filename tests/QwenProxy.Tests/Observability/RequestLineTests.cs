using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Ledger;
using QwenProxy.Observability;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Observability;

/// <summary>The line of a request is written by hand: its text and its fields must tell the same as its list of values.</summary>
public sealed class RequestLineTests
{
    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 1)]
    [InlineData(true, 300)]
    public void Line_TellsItsValuesInTextAndFields(bool full, int repeated)
    {
        LedgerEntry entry = new()
        {
            Time = DateTimeOffset.UnixEpoch,
            RequestId = "req_1",
            Dialect = "openai.chat",
            AskedModel = string.Concat(Enumerable.Repeat("modèle-\"m\" ", repeated)),
            ServedModel = full ? "qwen3.7-plus" : null,
            Account = full ? "plan" : null,
            Client = full ? "alice" : null,
            Tokens = full ? new TokenCounts(7, 8) : null,
            Attempts = 2,
            Resumes = 1,
            Status = 200,
            End = "complete",
            Duration = TimeSpan.FromMilliseconds(12345.64),
            FirstByte = full ? TimeSpan.FromMilliseconds(1.5) : null,
        };
        SettledRequest settled = new(entry, "POST", "/v1/chat/completions", "127.0.0.1", "agent/1.0", Stream: full) { Native = full, RequestBytes = 10, ResponseBytes = 20, UpstreamBytes = 30 };
        MemoryStream output = new();
        using (JsonLineLogger logger = new(output, new FakeClock())) RequestLog.Request(logger.CreateLogger("QwenProxy"), settled);
        JsonElement line = JsonDocument.Parse(Encoding.UTF8.GetString(output.ToArray())).RootElement;
        Assert.Equal(1, line.GetProperty("event").GetInt32());

        RequestLine values = new(settled);
        JsonProperty[] fields = [.. line.GetProperty("fields").EnumerateObject()];
        Assert.Equal(values.Select(v => v.Key), fields.Select(f => f.Name));
        Assert.Equal(values.Select(v => Text(v.Value)), fields.Select(f => f.Value.ToString()));
        string message = line.GetProperty("message").GetString()!;
        Assert.Equal(values.ToString(), message);
        string named = string.Join(' ', values.Skip(4).Select(v => $"{(v.Key == "requestId" ? "request" : v.Key)}={Text(v.Value)}"));
        Assert.Equal($"POST /v1/chat/completions 200 complete {named}", message);
    }

    private static string Text(object? value) => Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture) ?? "";
}
