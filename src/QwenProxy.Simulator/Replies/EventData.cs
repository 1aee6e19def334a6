namespace QwenProxy.Simulator.Replies;

/// <summary>What one server-sent event says, before it is framed. A null name means no <c>event:</c> line.</summary>
internal readonly record struct EventData(string? Name, byte[] Data);
