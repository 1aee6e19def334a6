namespace QwenProxy.Simulator;

/// <summary>A request as the simulator received it, and how it ended.</summary>
public sealed class RecordedRequest
{
    private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public required string Method { get; init; }

    /// <summary>Path and query as they came on the request line.</summary>
    public required string Target { get; init; }

    /// <summary>Names are compared without case; several values of one name are joined by a comma.</summary>
    public required IReadOnlyDictionary<string, string> Headers { get; init; }

    /// <summary>The body as it came on the wire, compressed if it was.</summary>
    public required byte[] Body { get; init; }

    public required string Protocol { get; init; }

    /// <summary>Which connection it came by: requests on one connection have the same.</summary>
    public required string ConnectionId { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <summary>The scenario that answered, once chosen.</summary>
    public string Scenario { get; internal set; } = "";

    /// <summary>Completes when the client hangs up before the reply has ended; never completes otherwise.</summary>
    public Task Aborted => _aborted.Task;

    public bool ClientAborted => _aborted.Task.IsCompleted;

    /// <summary>Completes when the simulator is through with the request, whatever the reason.</summary>
    public Task Ended => _ended.Task;

    public string BodyText => System.Text.Encoding.UTF8.GetString(Body);

    internal void MarkAborted() => _aborted.TrySetResult();

    internal void MarkEnded() => _ended.TrySetResult();
}
