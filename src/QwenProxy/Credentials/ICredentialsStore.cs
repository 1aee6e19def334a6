using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>What came of a save. A fault means that nothing was written; <see cref="Stamp"/> is then the state that what is unsaved replaces.</summary>
internal sealed record SaveResult(FileStamp? Stamp, string? Fault = null);

/// <summary>
/// Where one account's sign-in is kept: a file that programs of one machine share, or a row that replicas share. Looking at it waits for nothing; who
/// changes it has its turn first.
/// </summary>
internal interface ICredentialsStore
{
    /// <summary>Where, in words for a person: the file in use now, or the database.</summary>
    string Path { get; }

    /// <summary>The state of what is kept; null when nothing is there, or when it cannot be looked at.</summary>
    FileStamp? Stamp();

    /// <summary>What is kept, or why there is nothing.</summary>
    CredentialsReading Read();

    /// <summary>True when nothing is kept any more because these very credentials were signed out.</summary>
    bool WasSignedOut(QwenCredentials held);

    /// <summary>
    /// Waits for the turn to change it, one holder among all that share it; before every look <paramref name="notNeeded"/> is asked whether the wait is
    /// still worth it. What <see cref="Read"/> gives within the turn is the truth.
    /// </summary>
    Task<LockAttempt> AcquireAsync(Func<bool> notNeeded, CancellationToken stop);

    /// <summary>Replaces what is kept, whole or not at all. Call it within the turn.</summary>
    Task<SaveResult> SaveAsync(QwenCredentials credentials, CancellationToken stop);
}

/// <summary>A file in a folder that programs of one machine share.</summary>
internal sealed class FileCredentials(CredentialsFile file, CredentialsLock fileLock) : ICredentialsStore
{
    public string Path => file.Path;

    public FileStamp? Stamp() => file.Stamp();

    public CredentialsReading Read() => file.Read();

    public bool WasSignedOut(QwenCredentials held) => file.WasSignedOut(held);

    public Task<LockAttempt> AcquireAsync(Func<bool> notNeeded, CancellationToken stop) => fileLock.AcquireAsync(notNeeded, stop);

    public Task<SaveResult> SaveAsync(QwenCredentials credentials, CancellationToken stop)
    {
        try
        {
            return Task.FromResult(new SaveResult(file.Save(credentials)));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return Task.FromResult(new SaveResult(file.Stamp(), fault.Message));
        }
    }
}
