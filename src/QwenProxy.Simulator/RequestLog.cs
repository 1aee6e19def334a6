namespace QwenProxy.Simulator;

/// <summary>The newest requests, at most so many.</summary>
internal sealed class RequestLog(int most)
{
    private readonly Lock _gate = new();
    private readonly Queue<RecordedRequest> _requests = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> _waiting = [];
    private int _seen;

    public IReadOnlyList<RecordedRequest> All
    {
        get
        {
            lock (_gate) return [.. _requests];
        }
    }

    public bool IsOn => most > 0;

    public void Add(RecordedRequest request)
    {
        if (most == 0) return;
        lock (_gate)
        {
            _requests.Enqueue(request);
            if (_requests.Count > most) _requests.Dequeue();
            _seen++;
            foreach ((int count, TaskCompletionSource reached) in _waiting)
                if (_seen >= count) reached.TrySetResult();
            _waiting.RemoveAll(w => w.Reached.Task.IsCompleted);
        }
    }

    /// <summary>Completes when <paramref name="count"/> requests have come since the start.</summary>
    public Task WaitForAsync(int count, CancellationToken cancellationToken)
    {
        TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_seen >= count) return Task.CompletedTask;
            _waiting.Add((count, reached));
        }

        return reached.Task.WaitAsync(cancellationToken);
    }
}
