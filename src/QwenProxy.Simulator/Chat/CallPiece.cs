namespace QwenProxy.Simulator.Chat;

/// <summary>One piece of a tool call in a dialect whose calls are blocks: which call it is of, and whether it is the call's first or last.</summary>
internal readonly record struct CallPiece(ToolDelta Delta, int Call, bool IsFirst, bool IsLast)
{
    /// <summary>The pieces of an answer in their order, each with the call that its server means, however wrongly it says so.</summary>
    public static Queue<CallPiece> Of(List<Chunk> chunks)
    {
        List<ToolDelta> heads = [];
        List<(ToolDelta Delta, int Call, bool IsFirst)> pieces = [];
        foreach (ToolDelta delta in chunks.SelectMany(c => c.Tools))
        {
            int known = string.IsNullOrEmpty(delta.Id) ? -1 : heads.FindIndex(h => h.Id == delta.Id);
            bool begins = known < 0 && !string.IsNullOrEmpty(delta.Name);
            if (begins) heads.Add(delta);
            int call = begins ? heads.Count - 1 : known >= 0 ? known : heads.FindLastIndex(h => h.Index == delta.Index);
            if (call < 0) call = heads.Count - 1;
            if (call >= 0) pieces.Add((delta, call, begins));
        }

        return new(pieces.Select((p, i) => new CallPiece(p.Delta, p.Call, p.IsFirst, pieces.FindLastIndex(q => q.Call == p.Call) == i)));
    }
}
