using QwenProxy.Core.Ledger;

namespace QwenProxy.Core.Tests.Ledger;

public sealed class RequestStepTests
{
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    [Fact]
    public void OrdinaryWay_IsNotWritten()
    {
        Assert.Null(RequestStep.Write([]));
        Assert.Null(RequestStep.Write([new RequestStep(StepKind.Attempt, TimeSpan.FromMilliseconds(3), s_second, "plan", "m")]));
    }

    [Fact]
    public void Everything_ElseIsInItsOrderWithWhatIsKnown()
    {
        string? json = RequestStep.Write(
        [
            new RequestStep(StepKind.Attempt, s_second, s_second, "plan", "m", 429, "rate_limited"),
            new RequestStep(StepKind.Queue, TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(998)),
        ]);
        Assert.Equal("""[{"step":"queue","atMs":2,"tookMs":998},{"step":"attempt","atMs":1000,"tookMs":1000,"account":"plan","model":"m","status":429,"said":"rate_limited"}]""", json);
        // A late beginning alone is worth telling: the body took its time, or a key's limits did.
        Assert.NotNull(RequestStep.Write([new RequestStep(StepKind.Attempt, s_second, s_second, "plan", "m")]));
    }

    [Fact]
    public void Steps_HaveABound()
    {
        string json = RequestStep.Write([.. Enumerable.Range(0, 500).Select(i => new RequestStep(StepKind.Attempt, i * s_second, s_second, "plan", "m", 500, "server_error"))])!;
        Assert.Equal(RequestStep.MostKept, json.Split("\"step\"").Length - 1);
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(1)]
    [InlineData(17)]
    [InlineData(900_000)]
    public void Scale_IsWithinTenPercent(double value)
    {
        double read = LatencyScale.ValueOf(LatencyScale.StepOf(value));
        Assert.InRange(read, Math.Max(1, value) * 0.9, Math.Max(1, value) * 1.1);
    }

    [Fact]
    public void Percentiles_AreOfWhatWasCounted()
    {
        Dictionary<long, long> counts = new() { [LatencyScale.StepOf(100)] = 95, [LatencyScale.StepOf(5000)] = 5 };
        Assert.InRange(LatencyScale.Percentile(counts, 50)!.Value, 90, 110);
        Assert.InRange(LatencyScale.Percentile(counts, 95)!.Value, 90, 110);
        Assert.InRange(LatencyScale.Percentile(counts, 96)!.Value, 4500, 5500);
        Assert.Null(LatencyScale.Percentile(new Dictionary<long, long>(), 50));
    }
}
