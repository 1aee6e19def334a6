using System.Collections.Concurrent;
using QwenProxy.Core.Errors;

namespace QwenProxy.Upstreams;

/// <summary>What an account's model was found to take.</summary>
/// <param name="Most">The most it writes; 0 where only its context is known.</param>
/// <param name="Context">Its context in tokens; 0 where only the most it writes is known.</param>
/// <param name="TokensPerByte">How many tokens of the context a byte of the last refused request took, by upstream's own count.</param>
internal readonly record struct LearnedLimit(long Most, long Context, double TokensPerByte);

/// <summary>
/// How many tokens may be asked for, per account and model, as far as refusals have taught it. Kept until the configuration changes or the program
/// ends: a wrong memory would cost answers their ends, and learning it anew costs one refused request.
/// </summary>
internal sealed class OutputLimits
{
    private readonly ConcurrentDictionary<(string Account, string Model), LearnedLimit> _known = new();

    public IEnumerable<KeyValuePair<(string Account, string Model), LearnedLimit>> Known => _known.OrderBy(k => k.Key);

    /// <summary>A request was refused for its <c>max_tokens</c>.</summary>
    /// <param name="account">Whose upstream refused.</param>
    /// <param name="model">The upstream's name for the model.</param>
    /// <param name="limit">What it said.</param>
    /// <param name="fit">What this request may ask for instead.</param>
    /// <param name="bytes">The refused request's size.</param>
    public void Learn(string account, string model, OutputLimit limit, long fit, long bytes)
    {
        LearnedLimit old = _known.GetValueOrDefault((account, model));
        _known[(account, model)] = limit.Context > 0
            ? old with { Context = limit.Context, TokensPerByte = (limit.Context - fit) / (double)bytes }
            : old with { Most = limit.Most };
    }

    /// <summary>
    /// How much a request may ask for; <see cref="long.MaxValue"/> while nothing is known. Where only the context is known, the prompt's size is
    /// taken from the last refusal's tokens per byte; a guess never goes below what makes an answer useful, since upstream itself may still say no.
    /// </summary>
    public long Allowed(string account, string model, long bytes)
    {
        if (!_known.TryGetValue((account, model), out LearnedLimit limit)) return long.MaxValue;
        long allowed = limit.Most > 0 ? limit.Most : long.MaxValue;
        if (limit.Context == 0) return allowed;
        long room = limit.Context - (long)Math.Ceiling(bytes * limit.TokensPerByte);
        return Math.Min(allowed, Math.Max(room, OutputLimit.LeastUseful));
    }

    public void Forget() => _known.Clear();
}
