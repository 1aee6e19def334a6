namespace QwenProxy.Core.Repair;

/// <summary>How far a stage may go. A stage that is off is not in the chain.</summary>
public enum RepairMode
{
    /// <summary>Decides and repairs.</summary>
    On,

    /// <summary>Decides and counts; every event passes untouched and at once.</summary>
    Observe,
}
