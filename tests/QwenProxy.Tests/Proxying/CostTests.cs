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
        byte[] stream = [.. Head(), .. CostRig.Chunk(Event("The answer.", "null")), .. CostRig.Chunk(Event("", "\"stop\"")), .. CostRig.Chunk($"data: {{\"choices\":[],{Usage}}}\n\n"), .. CostRig.Chunk("data: [DONE]\n\n"), .. "0\r\n\r\n"u8];
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
        (long allocated, long workItems) = await rig.CountAsync();
        Pass(events);
        (long allocatedAfter, long workItemsAfter) = await rig.CountAsync();
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
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Memory is counted in another way there.");
        const int streams = 500;
        using CostRig rig = await CostRig.StartAsync(_home);
        List<Socket> sockets = [];
        try
        {
            // What the first streams bring in, code and pools, is no stream's.
            await OpenAsync(50);
            long before = await SettledAsync();
            await OpenAsync(streams);
            long after = await SettledAsync();
            double each = (after - before) / 1024.0 / streams;
            TestContext.Current.TestOutputHelper?.WriteLine($"{each:0.0} KiB");
            Assert.InRange(each, 1, 64);
        }
        finally
        {
            foreach (Socket socket in sockets) socket.Dispose();
        }

        async Task OpenAsync(int count)
        {
            byte[] request = CostRig.Request(stream: true, 800), first = [.. Head(), .. CostRig.Chunk(Event("word ", "null"))], next = CostRig.Chunk(Event("word ", "null"));
            List<(Socket Client, Socket Upstream)> opened = [];
            for (int i = 0; i < count; i++)
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

        // Garbage of the beginnings is no part of a stream either; it goes once the program has been quiet for two looks.
        async Task<long> SettledAsync()
        {
            await Task.Delay(TimeSpan.FromSeconds(7), TimeProvider.System, TestContext.Current.CancellationToken);
            return rig.Proxy.ResidentBytes();
        }
    }

    private static async Task<long> PerRequestAsync(CostRig rig, byte[] request, byte[] response, byte[] ending)
    {
        const int requests = 1500;
        using Socket client = rig.Connect();
        client.Send(request);
        // One client that asks again and again has one connection upstream.
        Socket upstream = rig.Upstream ??= rig.Accept();
        rig.TakeRequest(upstream);
        upstream.Send(response);
        Assert.StartsWith("HTTP/1.1 200", rig.ReadUntil(client, ending), StringComparison.Ordinal);
        Ask(requests);
        (long before, _) = await rig.CountAsync();
        Ask(requests);
        (long after, _) = await rig.CountAsync();
        return (after - before) / requests;

        void Ask(int count)
        {
            for (int i = 0; i < count; i++)
            {
                client.Send(request);
                rig.TakeRequest(upstream);
                upstream.Send(response);
                rig.ReadUntil(client, ending);
            }
        }
    }

    private static byte[] Head() => Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");

    private static string Event(string text, string finish) =>
        $"data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n";
}
