namespace QwenProxy.Core.Repair;

/// <summary>What the stages of one stream may know: the request, the upstream's habits, the limits, and where to report.</summary>
public sealed class RepairContext
{
    public required RepairReport Report { get; init; }

    /// <summary>Bytes of undecided text that all stages of this stream may hold back together (STREAMING_BUFFER_SIZE).</summary>
    public int HoldLimitBytes { get; init; } = 4096;

    /// <summary>The request's <c>tools</c> in the OpenAI chat shape, a JSON array; empty when the request declares none.</summary>
    public ReadOnlyMemory<byte> Tools { get; init; }

    /// <summary>The request demands JSON text (<c>response_format</c> of json_object or json_schema).</summary>
    public bool ExpectsJson { get; init; }
}
