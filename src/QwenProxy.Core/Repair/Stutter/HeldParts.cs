namespace QwenProxy.Core.Repair.Stutter;

/// <summary>The parts of one channel that wait for a decision, in their order.</summary>
internal sealed class HeldParts(StutterRun run, string channel)
{
    public const int Most = 3;

    private readonly List<HeldPart> _parts = new(Most);

    public int Count => _parts.Count;

    public int Bytes { get; private set; }

    /// <summary>What those that wait have in common.</summary>
    public HeldProof Proof { get; private set; }

    public void Add(int part, int keep, int bytes, in HeldProof proof, string detail)
    {
        run.Note("hold", RepairAction.Held, channel, bytes, detail);
        Proof = _parts.Count == 0 ? proof : Proof.And(proof);
        _parts.Add(run.Hold(part, keep, bytes));
        Bytes += bytes;
    }

    /// <summary>All of them are decided; false when none waited.</summary>
    public bool Settle(bool proven, string rule)
    {
        if (_parts.Count == 0) return false;
        string detail = proven ? "Stuttering" : "NormalFlow";
        foreach (HeldPart held in _parts) run.Settle(held, proven, rule, channel, detail);
        if (!proven) run.Note(rule, RepairAction.LetGo, channel, Bytes, detail);
        _parts.Clear();
        Bytes = 0;
        return true;
    }
}
