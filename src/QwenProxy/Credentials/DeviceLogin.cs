using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>Whoever shows a login in progress: a terminal, a pipe, a dashboard.</summary>
internal interface IDeviceLoginView
{
    /// <summary>The person is to open this link and confirm this code. Called once.</summary>
    void Prompt(DeviceCode device);

    /// <summary>Still waiting; called before every poll.</summary>
    void Waiting(TimeSpan left);

    /// <summary>A poll failed in a passing way and is repeated.</summary>
    void Trouble(string reason);
}

/// <summary>How a login ended: the file it was saved to, or why it failed.</summary>
internal sealed record DeviceLoginResult(string? SavedTo, string? Failure, DateTimeOffset? ExpiresAt = null)
{
    public bool IsSignedIn => Failure is null;
}

/// <summary>
/// The device flow: asks for a code, shows it, polls at the server's interval until the person has confirmed it, and saves the sign-in under the
/// lock. A running proxy sees the changed file and takes it over.
/// </summary>
internal sealed class DeviceLogin(OAuthClient client, ICredentialsStore store, TimeProvider time)
{
    private const int RefusalsInARow = 3;

    private static readonly TimeSpan s_shortestInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_slowDown = TimeSpan.FromSeconds(5);

    /// <param name="pkce">The proof for this login; a new one for each.</param>
    /// <exception cref="OperationCanceledException">The person gave up.</exception>
    public async Task<DeviceLoginResult> RunAsync(Pkce pkce, IDeviceLoginView view, CancellationToken stop)
    {
        long began = time.GetTimestamp();
        (DeviceCode? device, string reason) = await client.RequestDeviceCodeAsync(pkce, stop);
        if (device is null) return Failed($"{client.Host} gave no device code ({reason}). {SignInErrors.EndedSentence}");
        view.Prompt(device);
        (TokenGrant? grant, string? failure) = await PollAsync(device, pkce, view, began, stop);
        if (grant is null) return Failed(failure!);
        return await SaveAsync(grant, time.GetUtcNow(), stop);
    }

    private static DeviceLoginResult Failed(string reason) => new(null, reason);

    private async Task<(TokenGrant? Grant, string? Failure)> PollAsync(
        DeviceCode device, Pkce pkce, IDeviceLoginView view, long began, CancellationToken stop)
    {
        TimeSpan interval = device.Interval > s_shortestInterval ? device.Interval : s_shortestInterval;
        int refusals = 0;
        while (true)
        {
            TimeSpan left = device.Lifetime - time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero) return (null, "the code has expired before it was confirmed; run the login again");
            view.Waiting(left);
            await Task.Delay(interval < left ? interval : left, time, stop);
            OAuthReply reply = await client.PollAsync(device, pkce, stop);
            refusals = reply.Kind == OAuthReplyKind.Refused ? refusals + 1 : 0;
            switch (reply.Kind)
            {
                case OAuthReplyKind.Granted:
                    return (reply.Grant, null);
                case OAuthReplyKind.CodeExpired:
                    return (null, "the server says that the code has expired; run the login again");
                case OAuthReplyKind.Denied:
                    return (null, "the login was denied in the browser");
                case OAuthReplyKind.Ended:
                case OAuthReplyKind.Refused when refusals >= RefusalsInARow:
                    return (null, $"{client.Host} refuses this login ({reply.Reason}). {SignInErrors.EndedSentence}");
                case OAuthReplyKind.SlowDown:
                    interval += s_slowDown;
                    break;
                case OAuthReplyKind.Transient or OAuthReplyKind.Refused:
                    view.Trouble(reply.Reason);
                    break;
                case OAuthReplyKind.Pending:
                    break;
            }
        }
    }

    private async Task<DeviceLoginResult> SaveAsync(TokenGrant grant, DateTimeOffset asked, CancellationToken stop)
    {
        // A refresh that another program has in flight would write the old sign-in over this one.
        using LockAttempt attempt = await store.AcquireAsync(() => false, stop);
        QwenCredentials credentials = QwenCredentials.After(grant, store.Read().Credentials, asked);
        SaveResult saved = await store.SaveAsync(credentials, stop);
        return saved.Fault is { } fault ? Failed($"the sign-in could not be saved to {store.Path}: {attempt.Reason ?? fault}") : new DeviceLoginResult(store.Path, null, credentials.ExpiresAt);
    }
}
