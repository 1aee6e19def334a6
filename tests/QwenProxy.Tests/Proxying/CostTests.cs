using System.Net.Sockets;
using System.Text;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>
/// What a request, an event and a stream at rest cost the whole program, by counts that do not depend on how busy the machine is. The bounds are what was
/// measured and some room; how each came about is in docs/performance.md.
/// </summary>
public sealed class CostTests : IDisposable
{
    private const string Usage = "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13}";

    private readonly TemporaryFolder _home = new();

    public void Dispose() => _home.Dispose();

    [Fact]
    public async Task SmallRequests_AllocateLittle()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The clocks and pools of the other runtime differ.");
        byte[] stream = Streamed();
        const string whole = "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The answer.\"},\"finish_reason\":\"stop\"}]," + Usage + "}";
        byte[] json = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {whole.Length}\r\n\r\n{whole}");
        using CostRig rig = await CostRig.StartAsync(_home);
        long streamed = await PerRequestAsync(rig, CostRig.Request(stream: true, 800), stream, "0\r\n\r\n"u8.ToArray());
        long folded = await PerRequestAsync(rig, CostRig.Request(stream: false, 800), stream, "}"u8.ToArray());
        long passed = await PerRequestAsync(rig, CostRig.Request(stream: false, 800), json, "}"u8.ToArray());
        TestContext.Current.TestOutputHelper?.WriteLine($"streamed {streamed} B, folded {folded} B, passed {passed} B");
        Assert.InRange(streamed, 1, 26_000);
        Assert.InRange(folded, 1, 27_000);
        Assert.InRange(passed, 1, 29_000);
    }

    [Fact]
    public async Task OneEvent_CostsNextToNothingBesideItsReadAndItsWrite()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The clocks and pools of the other runtime differ.");
        const int events = 4000;
        byte[] one = CostRig.Chunk(Event("word ", "null"));
        using CostRig rig = await CostRig.StartAsync(_home);
        using Socket client = rig.Connect();
        client.Send(CostRig.Request(stream: true, 800));
        using Socket upstream = rig.Accept();
        rig.TakeRequest(upstream);
        upstream.Send(Head());
        Pass(events);
        (long asking, _) = await rig.CountAsync();
        (long allocated, long workItems) = await rig.CountAsync();
        Pass(events);
        (long allocatedAfter, long workItemsAfter) = await rig.CountAsync();
        allocatedAfter -= allocated - asking;
        long? calls = await rig.SystemCallsAsync(_home, () => Pass(events));
        double bytes = (allocatedAfter - allocated) / (double)events, items = (workItemsAfter - workItems) / (double)events;
        TestContext.Current.TestOutputHelper?.WriteLine($"{bytes:0.0} B, {items:0.000} work items, {calls / (double)events:0.00} system calls");
        // Two state machines of HttpClient's chunked reader; of the proxy's own there is nothing.
        Assert.InRange(bytes, 0, 350);
        Assert.InRange(items, 0, 0.05);
        if (calls is { } counted) Assert.InRange(counted / (double)events, 1, 4.6);

        void Pass(int count)
        {
            for (int i = 0; i < count; i++)
            {
                upstream.Send(one);
                rig.ReadUntil(client, "\n\n\r\n"u8);
            }
        }
    }

    [Fact]
    public async Task StreamAtRest_HoldsLittle()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The clocks and pools of the other runtime differ.");
        const int streams = 500;
        using CostRig rig = await CostRig.StartAsync(_home);
        List<Socket> sockets = [];
        try
        {
            // What the first streams bring in, code and pools, is no stream's.
            await OpenAsync();
            // The clients leave first: an upstream that breaks would be asked again.
            foreach (Socket client in sockets.Where((_, i) => i % 2 == 0)) client.Dispose();
            await rig.WaitUntilNothingRunsAsync();
            Close();
            long before = await LiveHeapAsync(rig);
            await OpenAsync();
            double each = (await LiveHeapAsync(rig) - before) / 1024.0 / streams;
            TestContext.Current.TestOutputHelper?.WriteLine($"{each:0.0} KiB");
            Assert.InRange(each, 1, 46);
        }
        finally
        {
            Close();
        }

        async Task OpenAsync()
        {
            byte[] request = CostRig.Request(stream: true, 800), first = [.. Head(), .. CostRig.Chunk(Event("word ", "null"))], next = CostRig.Chunk(Event("word ", "null"));
            List<(Socket Client, Socket Upstream)> opened = [];
            // Each stream's connection upstream is a new one.
            rig.Upstream?.Dispose();
            rig.Upstream = null;
            for (int i = 0; i < streams; i++)
            {
                Socket client = rig.Connect();
                sockets.Add(client);
                client.Send(request);
                Socket upstream = rig.Accept();
                sockets.Add(upstream);
                rig.TakeRequest(upstream);
                upstream.Send(first);
                rig.ReadUntil(client, "\n\n\r\n"u8);
                opened.Add((client, upstream));
            }

            // A silence, and a word after it: from then on they are slow streams.
            await Task.Delay(600, TestContext.Current.CancellationToken);
            foreach ((Socket client, Socket upstream) in opened)
            {
                upstream.Send(next);
                rig.ReadUntil(client, "\n\n\r\n"u8);
            }
        }

        void Close()
        {
            foreach (Socket socket in sockets) socket.Dispose();
            sockets.Clear();
        }
    }

    /// <summary>
    /// The heap as the program's own collection leaves it, which comes once it is quiet and there is something to collect: requests see to the latter. Resident
    /// memory would tell how the collector's regions happen to lie, and how much code was compiled.
    /// </summary>
    private static async Task<long> LiveHeapAsync(CostRig rig)
    {
        byte[] request = CostRig.Request(stream: true, 800), response = Streamed();
        long collections = await rig.SumAsync("dotnet_gc_collections_total{gc_heap_generation=\"gen2\"}");
        for (int tries = 0; tries < 8; tries++)
        {
            using Socket client = rig.Connect();
            for (int i = 0; i < 700; i++) Ask(rig, client, request, response, "0\r\n\r\n"u8.ToArray());
            for (int waited = 0; waited < 16; waited++)
            {
                await Task.Delay(500, TestContext.Current.CancellationToken);
                if (await rig.SumAsync("dotnet_gc_collections_total{gc_heap_generation=\"gen2\"}") > collections) return await rig.SumAsync("dotnet_gc_last_collection_heap_size_bytes{");
            }
        }

        throw new TimeoutException("The program did not collect its garbage.");
    }

    private static async Task<long> PerRequestAsync(CostRig rig, byte[] request, byte[] response, byte[] ending)
    {
        const int requests = 1500;
        using Socket client = rig.Connect();
        for (int i = 0; i < requests; i++) Ask(rig, client, request, response, ending);
        (long first, _) = await rig.CountAsync();
        // Asking for the numbers costs something, too.
        (long before, _) = await rig.CountAsync();
        for (int i = 0; i < requests; i++) Ask(rig, client, request, response, ending);
        (long after, _) = await rig.CountAsync();
        return (after - before - (before - first)) / requests;
    }

    /// <summary>One request and its answer. One client that asks again and again has one connection upstream.</summary>
    private static void Ask(CostRig rig, Socket client, byte[] request, byte[] response, byte[] ending)
    {
        client.Send(request);
        Socket upstream = rig.Upstream ??= rig.Accept();
        rig.TakeRequest(upstream);
        upstream.Send(response);
        Assert.StartsWith("HTTP/1.1 200", rig.ReadUntil(client, ending), StringComparison.Ordinal);
    }

    private static byte[] Streamed() =>
        [.. Head(), .. CostRig.Chunk(Event("The answer.", "null")), .. CostRig.Chunk(Event("", "\"stop\"")), .. CostRig.Chunk($"data: {{\"choices\":[],{Usage}}}\n\n"), .. CostRig.Chunk("data: [DONE]\n\n"), .. "0\r\n\r\n"u8];

    private static byte[] Head() => Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");

    private static string Event(string text, string finish) =>
        $"data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n";
}
