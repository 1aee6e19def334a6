using System.Buffers;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// What earlier streams taught, per upstream host and model: how many were clean and how many were proven to restate their text (evidence E6).
/// Only streams proven without this prior are counted as proven, so that it cannot feed itself. Kept in memory; whoever owns it stores it as
/// <c>{"version":1,"upstreams":[{"host":"…","model":"…","clean":12,"proven":3}]}</c>. Safe for many threads.
/// </summary>
public sealed class StutterPrior
{
    private readonly LearnedCounts _counts = new("upstreams", "host", "clean", "proven");

    /// <summary>Seen from two proven streams on, unless they are fewer than one in twenty.</summary>
    public StutterStanding StandingOf(string host, string model)
    {
        (int clean, int proven) = _counts[host, model];
        return proven < 2 || proven * 20 < clean + proven ? StutterStanding.None : StutterStanding.Seen;
    }

    /// <summary>Counts are halved when they are many: an upstream that was mended is believed again after some hundred streams.</summary>
    public void Record(string host, string model, StutterOutcome outcome)
    {
        if (outcome == StutterOutcome.Unknown) return;
        _counts.Change(host, model, counts =>
        {
            (int clean, int proven) = outcome == StutterOutcome.Proven ? (counts.First, counts.Second + 1) : (counts.First + 1, counts.Second);
            return clean + proven > LearnedCounts.Most ? (clean / 2, proven / 2) : (clean, proven);
        });
    }

    public void WriteTo(IBufferWriter<byte> output) => _counts.WriteTo(output);

    /// <summary>Reads what <see cref="WriteTo"/> wrote; false when it is something else, and then nothing was learned.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, out StutterPrior prior)
    {
        prior = new StutterPrior();
        return prior._counts.TryRead(json);
    }
}
