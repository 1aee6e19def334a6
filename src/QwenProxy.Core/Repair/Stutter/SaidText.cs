using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// What one channel has said, in two readings: the text itself under the restating one, kept only while there is a question, and a fingerprint
/// of all of it under the reading that nothing after the last proof is a restatement.
/// </summary>
internal sealed class SaidText : IDisposable
{
    private readonly PooledBytes _text = new(256);
    private TextHash _all;
    private TextHash _repeated;
    private bool _isProven;

    /// <summary>The text so far, restatements left out; empty while the channel passes through.</summary>
    public ReadOnlySpan<byte> Text => _text.Span;

    public bool Any => _all.Length > 0;

    public void Begin(ReadOnlySpan<byte> text)
    {
        _text.Write(text);
        _all.Add(text);
    }

    /// <summary>A delta of which nobody knows whether it is new: all of it is, or only its end.</summary>
    public void Add(ReadOnlySpan<byte> delta, ReadOnlySpan<byte> end)
    {
        Follow(delta);
        _text.Write(end);
    }

    /// <summary>A delta was proven to say again what was said, but for its end.</summary>
    public void AddProven(ReadOnlySpan<byte> end) => _text.Write(end);

    /// <summary>What was proven is proven for all that was said: both readings are one.</summary>
    public void Prove() => _isProven = true;

    /// <summary>The text itself is given back; from here on only the fingerprint goes on.</summary>
    public void PassThrough()
    {
        CatchUp();
        _text.Dispose();
    }

    public void Follow(ReadOnlySpan<byte> delta)
    {
        CatchUp();
        _all.Add(delta);
    }

    /// <summary>A delta says all of it again, of <paramref name="least"/> bytes or more: the text is taken from the delta.</summary>
    public bool Reopens(ReadOnlySpan<byte> delta, int least)
    {
        if (_all.Length < least || delta.Length < _all.Length || !_all.BeginsWithThis(delta)) return false;
        _text.Write(delta[.._all.Length]);
        return true;
    }

    /// <summary>While the channel passes through: a delta that waits since its frame came again.</summary>
    public void AddRepeated(ReadOnlySpan<byte> delta, bool first)
    {
        if (first) _repeated = _all;
        _repeated.Add(delta);
    }

    /// <summary>What waited was new.</summary>
    public void KeepRepeated() => _all = _repeated;

    public void Dispose() => _text.Dispose();

    /// <summary>Only when something follows, since a cumulative stream is proven anew with each event.</summary>
    private void CatchUp()
    {
        if (_isProven) _all = TextHash.Of(_text.Span);
        _isProven = false;
    }
}
