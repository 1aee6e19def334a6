using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Load;

namespace QwenProxy.Benchmarks.Work;

/// <summary>The work that gateways from npm do too, once by each of them and once by the proxy, in turn: they are too slow for a place in every round.</summary>
internal static class GatewayWork
{
    public const string Name = "gateways from npm";

    /// <summary>For gateways of the chat API.</summary>
    public static IReadOnlyList<LoadWork> Chat { get; } =
    [
        new("gateways: JSON passed, 1 KiB request, 16 connections", "json-200", false, 1024, 16, false),
        new("gateways: 200 events at full speed, 16 connections", "events?count=200", true, 1024, 16, true),
    ];

    /// <summary>For gateways that take Messages and ask in chat.</summary>
    public static IReadOnlyList<LoadWork> Messages { get; } =
    [
        new("gateways: 200 events at full speed, 16 connections, Messages asked for in chat", "events?count=200", true, 1024, 16, true) { Api = Api.Messages, Account = ContestantList.ChatOnlyAccount },
    ];

    public static async Task RunAsync(Field field, IReadOnlyList<NpmGateway> gateways, BenchmarkOptions options, Results results)
    {
        Contestant proxy = ContestantList.All.First(c => c.Name == ContestantList.Proxy);
        foreach (NpmGateway gateway in gateways)
        {
            try
            {
                using Child child = await field.StartFreshAsync(gateway.Contestant);
                foreach (LoadWork work in gateway.Works)
                {
                    // Only the proxy has an account to be named.
                    LoadWork theirs = work with { Account = "", Headers = gateway.Headers(field.UpstreamProcess.Port) };
                    await theirs.RunAsync(gateway.Contestant, child, options, null);
                    await theirs.RunAsync(gateway.Contestant, child, options, results);
                    Child ours = await field.OfAsync(proxy);
                    await work.RunAsync(proxy, ours, options, null);
                    await work.RunAsync(proxy, ours, options, results);
                }
            }
            catch (InvalidOperationException failure)
            {
                // Somebody else's program, in a version that may need what this machine has not: the other rows stand without it.
                System.Console.Error.WriteLine($"{gateway.Contestant.Name} is left out: {failure.Message}");
            }
        }
    }
}
