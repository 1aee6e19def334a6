using System.Buffers;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Tests.Resilience;

namespace QwenProxy.Core.Tests.Quotas;

/// <summary>An account named plan with windows of a test's own, and requests that are served.</summary>
internal static class PlanWorld
{
    public static readonly QuotaRule FiveHours = new(QuotaUnit.Requests, QuotaPeriod.Hours) { Hours = 5, Limit = 10 };
    public static readonly QuotaRule Week = new(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = 10 };

    public static DateTimeOffset Now { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static AccountState State(World world) => AccountState.Of(world.Accounts[0], null, world.Pool.Export(world.Now), world.Now, TimeZoneInfo.Utc, world.Pool.Quotas(world.Now));

    public static AccountSnapshot With(params QuotaRule[] rules) => World.Account("plan") with { Quota = new QuotaSettings { Windows = [.. rules] } };

    public static AccountPool Pool(params AccountSnapshot[] accounts)
    {
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        pool.ConfigureQuotas(accounts);
        return pool;
    }

    public static ProxyError Exhausted(string words) => World.Fail(FaultKind.QuotaExhausted) with { Message = words };

    public static Dictionary<string, int> Ask(World world, int times)
    {
        Dictionary<string, int> asked = [];
        for (int i = 0; i < times; i++)
        {
            Assert.Null(world.Run((_, _) => null));
            string account = world.Asked[^1].Split('/')[0];
            asked[account] = asked.GetValueOrDefault(account) + 1;
        }

        return asked;
    }

    public static PoolRecord Read(PoolRecord record)
    {
        ArrayBufferWriter<byte> json = new();
        PoolRecordJson.Write(record, json);
        Assert.True(PoolRecordJson.TryRead(json.WrittenSpan, out PoolRecord read));
        return read;
    }
}
