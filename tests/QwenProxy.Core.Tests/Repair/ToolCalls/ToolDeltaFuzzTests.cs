using System.Text.Json;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>Pieces of calls in any order and shape: what comes out is always something a client can take.</summary>
public sealed class ToolDeltaFuzzTests
{
    private const string Tools = "[{\"function\":{\"name\":\"f\"}},{\"function\":{\"name\":\"read\"}},{\"function\":{\"name\":\"read_file\"}}]";

    private static readonly string[] Indexes = ["", "\"index\":0,", "\"index\":1,", "\"index\":4,", "\"index\":null,", "\"index\":\"x\","];
    private static readonly string[] Ids = ["", "\"id\":\"\",", "\"id\":\"a\",", "\"id\":\"b\",", "\"id\":null,"];
    private static readonly string[] Names = ["", "\"name\":\"f\",", "\"name\":\"g\",", "\"name\":\"rea\",", "\"name\":\"read\",", "\"name\":\"d_file\",", "\"name\":\"\",", "\"name\":null,"];
    private static readonly string[] Arguments =
        ["\"\"", "\"{\"", "\"{}\"", "\"}\"", "\"\\\"\"", "\"\\\"{\\\\\\\"x\\\\\\\":1}\\\"\"", "null", "{\"x\":1}", "\"{\\\"x\\\":\"", "\"1\"", "[]",
            "5", "\" \"", "\"null\"", "\"nu\"", "\"{}{\"", "\"{\\\"x\\\":1}}\"", "\"\\\"}\"", "\"abc\""];

    [Theory]
    [InlineData(21, 4096)]
    [InlineData(22, 8)]
    [InlineData(20260108, 64)]
    public void AnyMixOfPieces_ComesOutAsCallsWithIndexesIdsAndNames(int seed, int limit)
    {
        Random random = new(seed);
        string Any(string[] of) => of[random.Next(of.Length)];
        for (int i = 0; i < 2000; i++)
        {
            string sse = Sse.Delta("\"role\":\"assistant\"");
            for (int n = random.Next(8); n >= 0; n--)
            {
                string[] calls = [.. Enumerable.Range(0, 1 + random.Next(2)).Select(_ =>
                    $"{{{Any(Indexes)}{Any(Ids)}\"type\":\"function\",\"function\":{{{Any(Names)}\"arguments\":{Any(Arguments)}}}}}")];
                sse += Sse.Tool(string.Join(',', calls));
            }

            sse += random.Next(5) == 0 ? "" : Sse.End(random.Next(2) == 0 ? "stop" : "tool_calls");
            Check(sse, limit);
            RepairContext observed = RepairRun.NewContext(Tools, limit);
            Assert.Equal(sse, RepairRun.Of(sse, observed, c => [new ToolDeltaStage(c, RepairMode.Observe, () => "")]).Stream);
            Assert.Equal(0, observed.HeldBytes);
        }
    }

    private static void Check(string sse, int limit)
    {
        int ids = 0;
        RepairContext context = RepairRun.NewContext(Tools, limit);
        RepairRun run = RepairRun.Of(sse, context, c => [new ToolDeltaStage(c, RepairMode.On, () => $"minted_{++ids}")]);
        Assert.Equal(0, context.HeldBytes);
        if (!run.Message.TryGetProperty("tool_calls", out JsonElement calls)) return;
        HashSet<string> seen = [];
        HashSet<int> indexes = [];
        Assert.Equal(calls.GetArrayLength(), calls.EnumerateArray().Max(c => c.GetProperty("index").GetInt32()) + 1);
        foreach (JsonElement call in calls.EnumerateArray())
        {
            Assert.True(call.GetProperty("function").GetProperty("name").GetString() is { Length: > 0 }, sse + run.Stream);
            Assert.True(indexes.Add(call.GetProperty("index").GetInt32()), sse + run.Stream);
            Assert.True(call.TryGetProperty("id", out JsonElement id) && id.ValueKind == JsonValueKind.String, sse + run.Stream);
            Assert.True(seen.Add(id.GetString()!), sse + run.Stream);
        }
    }
}
