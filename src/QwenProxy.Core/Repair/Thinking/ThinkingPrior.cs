using System.Buffers;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>
/// Which accounts and models were seen to think in the content with a closing tag only, as where the chat template writes the opening one. Kept in
/// memory; whoever owns it stores it as <c>{"version":1,"models":[{"account":"…","model":"…","streams":2}]}</c>. Safe for many threads.
/// </summary>
public sealed class ThinkingPrior
{
    /// <summary>Streams that have to show it before one is read so from its beginning.</summary>
    private const int NeededStreams = 2;

    private readonly LearnedCounts _streams = new("models", "account", "streams");

    /// <summary>The next stream's content is thinking until a closing tag, unless its thinking is switched off or has its own field.</summary>
    public bool IsLearned(string account, string model) => _streams[account, model].First >= NeededStreams;

    /// <summary>One stream that ends without the tag unlearns it: the next answer must not wait for its end again.</summary>
    public void Record(string account, string model, LoneClose outcome)
    {
        // Nothing is kept of the many that never show it.
        if (outcome == LoneClose.Unknown || (outcome == LoneClose.Missing && _streams[account, model].First == 0)) return;
        _streams.Change(account, model, seen => (outcome == LoneClose.Missing ? 0 : Math.Min(seen.First + 1, NeededStreams), 0));
    }

    public void WriteTo(IBufferWriter<byte> output) => _streams.WriteTo(output);

    /// <summary>Reads what <see cref="WriteTo"/> wrote; false when it is something else, and then nothing was learned.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, out ThinkingPrior prior)
    {
        prior = new ThinkingPrior();
        return prior._streams.TryRead(json);
    }
}
