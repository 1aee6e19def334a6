using System.Text;

namespace QwenProxy.Credentials;

internal enum LockOutcome
{
    Held,

    /// <summary>What the lock was wanted for has happened meanwhile.</summary>
    NotNeeded,

    /// <summary>The folder takes no lock file (read-only, full): the caller goes on without, and says so.</summary>
    Unavailable,

    TimedOut,
}

/// <summary>The result of waiting for the lock; dispose it to release what is held.</summary>
internal sealed record LockAttempt(LockOutcome Outcome, string? Reason = null, IDisposable? Holder = null) : IDisposable
{
    /// <summary>It was taken from another that had not ended its turn and may have used the refresh token: a refusal of it proves nothing yet.</summary>
    public bool IsInDoubt { get; init; }

    public void Dispose() => Holder?.Dispose();
}

/// <summary>
/// <c>oauth_creds.lock</c>: one refresh at a time among all programs that share a credentials folder, qwen-code included. The file is created
/// exclusively with a unique body, counts as abandoned when its time is older than 35 s, and is removed only by whoever wrote that body. A holder
/// that has to wait long for the server renews the file's time, because older qwen-code versions give up on a lock after 10 s and would use the
/// same refresh token.
/// </summary>
internal sealed class CredentialsLock(string folder, DurableFiles files, TimeProvider time, Func<double> chance, Func<string> newId)
{
    public const string FileName = "oauth_creds.lock";

    public static readonly TimeSpan Stale = TimeSpan.FromSeconds(35);

    /// <summary>Longer than an abandoned lock stays in the way.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(45);

    private static readonly TimeSpan s_renewal = TimeSpan.FromSeconds(3);

    private readonly string _path = Path.Combine(folder, FileName);

    /// <summary>Waits for the lock; before every look at it <paramref name="notNeeded"/> is asked whether the wait is still worth it.</summary>
    public async Task<LockAttempt> AcquireAsync(Func<bool> notNeeded, CancellationToken stop)
    {
        string body = newId();
        long began = time.GetTimestamp();
        TimeSpan pause = TimeSpan.FromMilliseconds(100);
        Observed? seen = null;
        while (true)
        {
            try
            {
                if (TryCreate(body)) return new LockAttempt(LockOutcome.Held, null, new LockHolder(this, body));
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                return new LockAttempt(LockOutcome.Unavailable, fault.Message);
            }

            if (notNeeded()) return new LockAttempt(LockOutcome.NotNeeded);
            seen = Observe(seen);
            if (seen is not null && IsStale(seen))
            {
                BreakStale(seen.Body);
                seen = null;
                continue;
            }

            if (time.GetElapsedTime(began) > LongestWait) return new LockAttempt(LockOutcome.TimedOut, $"another program holds {_path}");
            await Task.Delay(pause * (0.8 + (0.4 * chance())), time, stop);
            pause = TimeSpan.FromMilliseconds(Math.Min(pause.TotalMilliseconds * 1.5, 1000));
        }
    }

    /// <summary>False when somebody else has it; throws when no file can be made here at all.</summary>
    private bool TryCreate(string body)
    {
        try
        {
            files.WriteNew(_path, Encoding.ASCII.GetBytes(body));
            Touch();
            return true;
        }
        catch (IOException) when (File.Exists(_path))
        {
            return false;
        }
    }

    private sealed record Observed(string Body, DateTime Modified, long Since);

    private Observed? Observe(Observed? before)
    {
        try
        {
            if (BodyNow() is not { } body) return null;
            DateTime modified = File.GetLastWriteTimeUtc(_path);
            bool same = before is not null && before.Body == body && before.Modified == modified;
            return same ? before : new Observed(body, modified, time.GetTimestamp());
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // It went away between two looks.
            return null;
        }
    }

    /// <summary>
    /// Old by its time, or unchanged for that long while we watched: the second rule holds where the clocks of writer and reader differ.
    /// </summary>
    private bool IsStale(Observed seen) =>
        time.GetUtcNow().UtcDateTime - seen.Modified > Stale || time.GetElapsedTime(seen.Since) > Stale;

    /// <summary>
    /// Renames the abandoned file away before removing it, as two programs may find it stale at once: the slower one would otherwise remove the
    /// fresh lock that the faster one has just made. If that happened all the same, the fresh one is put back.
    /// </summary>
    private void BreakStale(string staleBody)
    {
        string aside = $"{_path}.stale.{newId()}";
        try
        {
            File.Move(_path, aside);
            if (File.ReadAllText(aside) != staleBody) File.Move(aside, _path, overwrite: false);
            else File.Delete(aside);
        }
        catch (IOException)
        {
            // Somebody else was faster; the next look shows how things are.
        }
    }

    private string? BodyNow() => files.Read(_path) is { } bytes ? Encoding.ASCII.GetString(bytes) : null;

    private void Touch() => File.SetLastWriteTimeUtc(_path, time.GetUtcNow().UtcDateTime);

    private ITimer StartRenewal(Action renew) => time.CreateTimer(_ => renew(), null, s_renewal, s_renewal);

    private sealed class LockHolder : IDisposable
    {
        private readonly CredentialsLock _owner;
        private readonly string _body;
        private readonly ITimer _renewal;

        public LockHolder(CredentialsLock owner, string body)
        {
            _owner = owner;
            _body = body;
            _renewal = owner.StartRenewal(() => IfStillOurs(owner.Touch));
        }

        public void Dispose()
        {
            _renewal.Dispose();
            IfStillOurs(() => File.Delete(_owner._path));
        }

        private void IfStillOurs(Action action)
        {
            try
            {
                if (_owner.BodyNow() == _body) action();
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                // The lock was taken from us, or the folder is gone: then there is nothing of ours left to renew or remove.
            }
        }
    }
}
