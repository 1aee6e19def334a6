using System.Buffers.Text;
using System.Diagnostics;
using System.Text;
using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Load;

namespace QwenProxy.Benchmarks.Work;

/// <summary>
/// How long after upstream sent it an event reaches the client, and how long after the request the first one does, over 32 streams of an event each
/// 20 ms. The same without a proxy is measured in the same round: what a contestant adds is the difference.
/// </summary>
internal sealed class LatencyWork
{
    public const string Name = "delay, 32 streams, 20 ms between events";
    public const string Direct = "no proxy";
    private const int Streams = 32;

    public static readonly string[] Measures = ["first event p50", "first event p99", "event p50", "event p99"];

    public static async Task RunAsync(string contestant, int port, BenchmarkOptions options, Results? results)
    {
        List<double> first = [], later = [];
        byte[] request = Requests.Of(Api.Chat, "sim-unused", true, 1024);
        int requests = Math.Max(1, (int)(options.Measure.TotalMilliseconds / (Upstream.StampedEvents * 20))) + 1;
        Tally tally = new();
        Task[] connections = [.. Enumerable.Range(0, Streams).Select(i => RunStreamsAsync(port, request, tally, i, requests, first, later))];
        await Task.WhenAll(connections);
        if (tally.Failures > 0) throw new InvalidOperationException($"{contestant}, {Name}: {tally.Failures} streams failed.");
        if (results is null) return;
        results.Add(Name, Measures[0], contestant, Percentile(first, 0.5));
        results.Add(Name, Measures[1], contestant, Percentile(first, 0.99));
        results.Add(Name, Measures[2], contestant, Percentile(later, 0.5));
        results.Add(Name, Measures[3], contestant, Percentile(later, 0.99));
    }

    private static async Task RunStreamsAsync(int port, byte[] request, Tally tally, int number, int requests, List<double> first, List<double> later)
    {
        await Task.Delay(number * 7 % 20);
        for (int i = 0; i < requests; i++)
        {
            StampReader stamps = new(first, later, warm: i > 0);
            LoadConnection connection = new(port, request, tally, stamps.Take);
            await connection.RunAsync(1, CancellationToken.None);
        }
    }

    private static double Percentile(List<double> values, double share)
    {
        values.Sort();
        return values.Count == 0 ? double.NaN : values[Math.Min(values.Count - 1, (int)(values.Count * share))];
    }

    /// <summary>Finds the moments in one stream. Milliseconds.</summary>
    private sealed class StampReader(List<double> first, List<double> later, bool warm)
    {
        private static readonly byte[] Start = Encoding.ASCII.GetBytes(Upstream.StampStart);
        private readonly long _asked = Stopwatch.GetTimestamp();
        private bool _begun;

        public void Take(ReadOnlySpan<byte> bytes)
        {
            long now = Stopwatch.GetTimestamp();
            int at;
            while ((at = bytes.IndexOf(Start)) >= 0)
            {
                bytes = bytes[(at + Start.Length)..];
                if (!Utf8Parser.TryParse(bytes, out long stamp, out int used) || used == 0) return;
                double value = Stopwatch.GetElapsedTime(_begun ? stamp : _asked, now).TotalMilliseconds;
                List<double> list = _begun ? later : first;
                // The first stream of a connection's turn also opens upstream connections.
                if (warm || _begun) lock (list) list.Add(value);
                _begun = true;
            }
        }
    }
}
