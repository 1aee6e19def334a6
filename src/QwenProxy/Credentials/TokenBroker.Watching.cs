using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>The file as others change it, and the background loop that looks at it and refreshes ahead of time.</summary>
internal sealed partial class TokenBroker
{
    private static readonly TimeSpan s_watchEvery = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_saveAgainEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_patienceAtStop = TimeSpan.FromSeconds(5);

    private FileStamp? _seen;
    private long _lookedAt = long.MinValue;
    private volatile bool _hasRead;
    private long _savedAt;
    private TaskCompletionSource _adoption = NewSignal();
    private Task _watch = Task.CompletedTask;

    /// <summary>Begins to watch the file and to refresh in the background. Without it, both happen only when somebody asks for a token.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (_watch.IsCompleted && !_stopped) _watch = WatchAsync(_stopping.Token);
        }
    }

    /// <summary>A refresh in flight gets a few seconds to end and be saved: its refresh token may be used up already.</summary>
    public async ValueTask DisposeAsync()
    {
        Task refresh;
        lock (_gate)
        {
            if (_stopped) return;
            _stopped = true;
            refresh = _refresh;
        }

        await Task.WhenAny(refresh, Task.Delay(s_patienceAtStop, _time, CancellationToken.None));
        await _stopping.CancelAsync();
        await Task.WhenAll(refresh, _watch);
        _stopping.Dispose();
    }

    private async Task WatchAsync(CancellationToken stop)
    {
        await Task.Yield();
        try
        {
            while (true)
            {
                await TendAsync(stop);
                await Task.Delay(s_watchEvery, _time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The broker is being disposed.
        }
    }

    private async Task TendAsync(CancellationToken stop)
    {
        try
        {
            Look(TimeSpan.Zero);
            if (_held is not { } held) return;
            if (held.IsUnsaved && _time.GetElapsedTime(_savedAt) >= s_saveAgainEvery) await SaveAgainAsync(held, stop);
            else if (held.PhaseAt(_time) != TokenPhase.Valid) _ = RefreshOnce(null, IsAttended);
        }
        catch (Exception unexpected) when (unexpected is not OperationCanceledException)
        {
            _log.WatchFailed(unexpected);
        }
    }

    private async Task SaveAgainAsync(HeldToken held, CancellationToken stop)
    {
        HeldToken saved = await _refresher.SaveAgainAsync(held, stop);
        lock (_gate)
        {
            _savedAt = _time.GetTimestamp();
            if (_held != held) return;
            _held = saved;
            _seen = saved.Stamp;
        }
    }

    /// <summary>Looks whether the file changed, at most every so often, and takes over what it holds now.</summary>
    private void Look(TimeSpan atMostEvery)
    {
        long last = Volatile.Read(ref _lookedAt);

        // The first look is waited for: a caller that came while it was going on would be told that nobody has signed in.
        if (_hasRead && _time.GetElapsedTime(last) < atMostEvery) return;
        lock (_gate)
        {
            Volatile.Write(ref _lookedAt, _time.GetTimestamp());
            FileStamp? stamp = _store.Stamp();
            if (stamp is not null && stamp == _seen) return;
            TakeReading(_store.Read());
            _hasRead = true;
        }
    }

    private void TakeReading(CredentialsReading reading)
    {
        if (reading.Credentials is not { } credentials)
        {
            // Missing or unreadable: what memory holds goes on, unless its owner signed it out.
            _seen = reading.Stamp;
            _fault = reading.Fault!;
            _isUnknown = reading.IsUnknown;
            if (_held is not { } orphan || reading.Stamp is not null || !_store.WasSignedOut(orphan.Credentials)) return;
            _held = null;
            _verdict = null;
            _fault = "it was signed out with logout";
            return;
        }

        if (_held is not { } held)
        {
            TakeUp(_intake.FromFile(credentials, reading.Stamp, isChange: false));
        }
        else if (held.IsUnsaved && credentials.AccessToken.Equals(held.Replaced))
        {
            // Touched, but still the tokens that memory has replaced and could not write: they are used up.
            _held = held with { Stamp = reading.Stamp };
            _seen = reading.Stamp;
            return;
        }
        else if (credentials != held.Credentials)
        {
            TakeUp(_intake.FromFile(credentials, reading.Stamp, isChange: true));
            _log.Adopted(_store.Path);
        }
        else
        {
            // Same tokens, touched file: somebody mended something, so a dead or failing account gets another try.
            TakeUp(held with { Stamp = reading.Stamp, IsUnsaved = false });
        }

        _condemned = 0;
        _refusedUnserved = null;
    }

    private Task NextAdoption()
    {
        lock (_gate) return _adoption.Task;
    }

    private void SignalAdoption()
    {
        _adoption.TrySetResult();
        _adoption = NewSignal();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
