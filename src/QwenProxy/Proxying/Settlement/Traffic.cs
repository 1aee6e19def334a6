using QwenProxy.Core.Ledger;

namespace QwenProxy.Proxying.Settlement;

/// <summary>What ended within a minute.</summary>
internal readonly record struct MinuteTraffic(int Requests, int Failed, long InputTokens, long OutputTokens);

/// <summary>Counts what ends, second by second, for one minute back. Its owner locks it.</summary>
internal sealed class Traffic
{
    private const int Seconds = 60;

    private readonly (long Second, MinuteTraffic Sum)[] _slots = new (long, MinuteTraffic)[Seconds];

    public void Add(LedgerEntry entry)
    {
        long second = entry.Time.ToUnixTimeSeconds();
        ref (long Second, MinuteTraffic Sum) slot = ref _slots[second % Seconds];
        if (slot.Second != second) slot = (second, default);
        MinuteTraffic sum = slot.Sum;
        slot.Sum = new MinuteTraffic(sum.Requests + 1, sum.Failed + (entry.End == "complete" ? 0 : 1), sum.InputTokens + (entry.Tokens?.Input ?? 0), sum.OutputTokens + (entry.Tokens?.Output ?? 0));
    }

    public MinuteTraffic LastMinute(DateTimeOffset now)
    {
        long last = now.ToUnixTimeSeconds();
        MinuteTraffic total = default;
        foreach ((long second, MinuteTraffic sum) in _slots)
        {
            if (second <= last - Seconds || second > last) continue;
            total = new MinuteTraffic(total.Requests + sum.Requests, total.Failed + sum.Failed, total.InputTokens + sum.InputTokens, total.OutputTokens + sum.OutputTokens);
        }

        return total;
    }
}
