using System.Buffers.Text;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using QwenProxy.Simulator;

namespace QwenProxy.Benchmarks.Contestants;

/// <summary>
/// The upstream's process: the simulator, and on a second port a stream whose events carry the moment they were sent, from which the delay of each
/// is known. The simulator's own events are made once and cannot carry it.
/// </summary>
internal static class Upstream
{
    public const int StampedEvents = 50;
    public const string StampStart = "\"content\":\"T";
    private const int StampDigits = 20;
    private static readonly TimeSpan Gap = TimeSpan.FromMilliseconds(20);

    public static async Task<int> RunAsync(int port, int stampedPort)
    {
        await using SimulatorServer simulator = await SimulatorServer.StartAsync(new SimulatorOptions { Port = port, KeepRequests = 0 });
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, stampedPort));
        listener.Listen(1024);
        while (true) _ = ServeAsync(await listener.AcceptAsync());
    }

    private static async Task ServeAsync(Socket client)
    {
        using Socket socket = client;
        socket.NoDelay = true;
        byte[] buffer = new byte[16 * 1024];
        byte[] head = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        try
        {
            while (await ReadRequestAsync(socket, buffer))
            {
                await socket.SendAsync(head);
                using PeriodicTimer timer = new(Gap);
                for (int i = 0; i < StampedEvents; i++)
                {
                    if (i > 0) await timer.WaitForNextTickAsync();
                    await socket.SendAsync(Chunk(i == StampedEvents - 1));
                }

                await socket.SendAsync(Encoding.ASCII.GetBytes("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"));
            }
        }
        catch (SocketException)
        {
            // The contestant closed the connection.
        }
    }

    /// <summary>Reads one request to its end. False when the other side closed.</summary>
    private static async Task<bool> ReadRequestAsync(Socket socket, byte[] buffer)
    {
        int have = 0;
        while (true)
        {
            int read = await socket.ReceiveAsync(buffer.AsMemory(have));
            if (read == 0) return false;
            have += read;
            string text = Encoding.ASCII.GetString(buffer, 0, have);
            int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end < 0) continue;
            int field = text.IndexOf("content-length:", StringComparison.OrdinalIgnoreCase);
            int length = field < 0 ? 0 : int.Parse(text.AsSpan(field + 15, text.IndexOf('\r', field) - field - 15));
            if (have >= end + 4 + length) return true;
        }
    }

    private static byte[] Chunk(bool last)
    {
        string finish = last ? "\"stop\"" : "null";
        Span<byte> digits = stackalloc byte[StampDigits];
        Utf8Formatter.TryFormat(Stopwatch.GetTimestamp(), digits, out _, new System.Buffers.StandardFormat('D', StampDigits));
        string data = "data: {\"choices\":[{\"delta\":{" + StampStart + Encoding.ASCII.GetString(digits) + "\"},\"finish_reason\":" + finish
            + ",\"index\":0,\"logprobs\":null}],\"object\":\"chat.completion.chunk\",\"usage\":null,\"created\":1700000000,\"system_fingerprint\":null,"
            + "\"model\":\"qwen3-coder-plus\",\"id\":\"chatcmpl-00000000-0000-0000-0000-000000000000\"}\n\n";
        return Encoding.ASCII.GetBytes($"{data.Length:x}\r\n{data}\r\n");
    }
}
