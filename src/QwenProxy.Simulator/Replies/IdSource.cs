namespace QwenProxy.Simulator.Replies;

/// <summary>Request ids in the shape of UUIDs from a seeded source, so that two runs give the same bytes.</summary>
internal sealed class IdSource(Random random)
{
    private readonly Lock _gate = new();

    public string NextUuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (_gate) random.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }
}
