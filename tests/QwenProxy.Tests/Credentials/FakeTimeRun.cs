using QwenProxy.Testing;

namespace QwenProxy.Tests.Credentials;

/// <summary>
/// Runs asynchronous code on one thread in fake time: whatever can go on goes on, and only when nothing can does the clock jump to the next timer.
/// The order of events is therefore the same in every run, on any machine.
/// </summary>
internal sealed class FakeTimeRun : SynchronizationContext
{
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();

    private readonly ManualResetEventSlim _cameThrough = new();

    public override void Post(SendOrPostCallback d, object? state)
    {
        lock (_ready)
        {
            _ready.Enqueue((d, state));
            Monitor.PulseAll(_ready);
        }
    }

    public override SynchronizationContext CreateCopy() => this;

    public static void Run(FakeClock clock, Func<Task> body)
    {
        SynchronizationContext? before = Current;
        FakeTimeRun run = new();
        SetSynchronizationContext(run);
        try
        {
            Task task = body();
            while (!task.IsCompleted)
            {
                if (run.RunOne()) continue;
                run.LetThreadPoolFinish();
                if (run.RunOne()) continue;
                if (clock.NextDue is { } due) clock.Advance(due - clock.GetUtcNow());
                else if (!run.WaitForPost()) throw new InvalidOperationException("the test waits for something that no timer will bring");
            }

            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    /// <summary>
    /// A few continuations take a hop over the thread pool on their way here. The pool's queue is first in, first out: when an item of our own
    /// has come through twice, so have they.
    /// </summary>
    private void LetThreadPoolFinish()
    {
        for (int round = 0; round < 2; round++)
        {
            _cameThrough.Reset();
            ThreadPool.UnsafeQueueUserWorkItem(static run => run._cameThrough.Set(), this, preferLocal: false);
            _cameThrough.Wait();
        }
    }

    /// <summary>
    /// For the few things that happen on another thread (a cancellation's callbacks); the bound only ends a test that would never end.
    /// </summary>
    private bool WaitForPost()
    {
        lock (_ready) return _ready.Count > 0 || Monitor.Wait(_ready, TimeSpan.FromSeconds(60));
    }

    private bool RunOne()
    {
        (SendOrPostCallback Callback, object? State) next;
        lock (_ready)
        {
            if (!_ready.TryDequeue(out next)) return false;
        }

        next.Callback(next.State);
        return true;
    }
}
