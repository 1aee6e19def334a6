namespace QwenProxy.Credentials;

/// <summary>What the broker says, with the account's name; no token ever is among the values.</summary>
internal sealed partial class CredentialLog(ILogger logger, string account)
{
    public void Refreshed(DateTimeOffset until) => Refreshed(logger, account, until);

    public void Adopted(string file) => Adopted(logger, account, file);

    public void SignedOut(string reason) => SignedOut(logger, account, reason);

    public void RefreshFailed(string reason, TimeSpan next) => RefreshFailed(logger, account, reason, next.TotalSeconds);

    public void SaveFailed(string file, string reason) => SaveFailed(logger, account, file, reason);

    public void SavedAfterAll(string file) => SavedAfterAll(logger, account, file);

    public void LockUnavailable(string reason) => LockUnavailable(logger, account, reason);

    public void EndpointRefused(string reason) => EndpointRefused(logger, account, reason);

    public void ClockIsOff(TimeSpan skew) => ClockIsOff(logger, account, skew.TotalSeconds);

    public void WatchFailed(Exception fault) => WatchFailed(logger, account, fault);

    [LoggerMessage(3001, LogLevel.Information, "Account {Account}: token refreshed, valid until {Until:u}")]
    private static partial void Refreshed(ILogger logger, string account, DateTimeOffset until);

    [LoggerMessage(3002, LogLevel.Information, "Account {Account}: took over the newer sign-in in {File}")]
    private static partial void Adopted(ILogger logger, string account, string file);

    [LoggerMessage(3003, LogLevel.Error, "Account {Account} is signed out: {Reason}")]
    private static partial void SignedOut(ILogger logger, string account, string reason);

    [LoggerMessage(3004, LogLevel.Warning, "Account {Account}: refresh failed, the sign-in is kept: {Reason}; next try in {Seconds:0.0} s")]
    private static partial void RefreshFailed(ILogger logger, string account, string reason, double seconds);

    [LoggerMessage(
        3005, LogLevel.Error,
        "Account {Account}: new tokens could NOT be saved to {File} ({Reason}); they are kept in memory and lost at a restart. Retrying")]
    private static partial void SaveFailed(ILogger logger, string account, string file, string reason);

    [LoggerMessage(3006, LogLevel.Information, "Account {Account}: the tokens kept in memory are now saved to {File}")]
    private static partial void SavedAfterAll(ILogger logger, string account, string file);

    [LoggerMessage(3007, LogLevel.Warning, "Account {Account}: refreshing without the lock file, which cannot be made: {Reason}")]
    private static partial void LockUnavailable(ILogger logger, string account, string reason);

    [LoggerMessage(3008, LogLevel.Warning, "Account {Account}: the new endpoint gets no token and the old one is kept: {Reason}")]
    private static partial void EndpointRefused(ILogger logger, string account, string reason);

    [LoggerMessage(3009, LogLevel.Warning, "Account {Account}: the OAuth server's clock is {Seconds:0} s ahead of this machine's (negative: behind)")]
    private static partial void ClockIsOff(ILogger logger, string account, double seconds);

    [LoggerMessage(3010, LogLevel.Error, "Account {Account}: the background refresh met an unexpected fault and goes on")]
    private static partial void WatchFailed(ILogger logger, string account, Exception fault);
}
