using Microsoft.Extensions.Logging;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Repair;

namespace QwenProxy.Observability;

/// <summary>
/// What the proxy writes about requests. One Information line for each, at Settle; state transitions and decisions at Debug. No message has a
/// place for text of a prompt or an answer, or for a key: what is not passed in cannot leak.
/// </summary>
internal static partial class RequestLog
{
    /// <summary>The event's number: it is the one line that is not made by the generator, see <see cref="RequestLine"/>.</summary>
    private static readonly EventId s_request = new(1, nameof(Request));

    public static void Request(ILogger logger, SettledRequest settled)
    {
        if (logger.IsEnabled(LogLevel.Information)) logger.Log(LogLevel.Information, s_request, new RequestLine(settled), null, static (line, _) => line.ToString());
    }

    [LoggerMessage(EventId = 2, Level = LogLevel.Debug, Message = "request={requestId} attempt {attempt} at account={account} model={model}: {outcome}")]
    public static partial void Attempt(ILogger logger, string requestId, int attempt, string account, string model, string outcome);

    [LoggerMessage(EventId = 3, Level = LogLevel.Debug, Message = "request={requestId} waits {seconds} s before the next attempt: {why}")]
    public static partial void Wait(ILogger logger, string requestId, double seconds, string why);

    [LoggerMessage(EventId = 4, Level = LogLevel.Debug, Message = "request={requestId} stream broke after {events} events ({why}); {next}")]
    public static partial void Broke(ILogger logger, string requestId, int events, string why, string next);

    [LoggerMessage(EventId = 5, Level = LogLevel.Debug, Message = "request={requestId} repair {stage} {rule} {action} at {channel} event={number} bytes={bytes} {detail}")]
    public static partial void Repair(ILogger logger, string requestId, string stage, string rule, RepairAction action, string channel, int number, int bytes, string? detail);

    [LoggerMessage(EventId = 20, Level = LogLevel.Warning, Message = "request={requestId} passed on as it came, since nothing mends it: {stage} {rule}")]
    public static partial void Unmended(ILogger logger, string requestId, string stage, string rule);

    [LoggerMessage(EventId = 6, Level = LogLevel.Error, Message = "request={requestId} failed by a fault of this proxy")]
    public static partial void Internal(ILogger logger, Exception fault, string requestId);

    [LoggerMessage(EventId = 7, Level = LogLevel.Debug, Message = "request={requestId} quirk rule {rule} changed the request")]
    public static partial void Quirk(ILogger logger, string requestId, string rule);

    [LoggerMessage(EventId = 8, Level = LogLevel.Warning, Message = "Account {account} is signed out: {reason}")]
    public static partial void SignedOut(ILogger logger, string account, string reason);

    [LoggerMessage(EventId = 9, Level = LogLevel.Debug, Message = "Breaker of account={account} model={model}: now {state}")]
    public static partial void Breaker(ILogger logger, string account, string model, string state);

    [LoggerMessage(EventId = 10, Level = LogLevel.Debug, Message = "Account {account} cools until {until} for model={model}: {why}")]
    public static partial void Cooldown(ILogger logger, string account, string model, DateTimeOffset until, string why);

    [LoggerMessage(EventId = 11, Level = LogLevel.Warning, Message = "request={requestId} text of upstream and its token count differ: {detail}")]
    public static partial void Audit(ILogger logger, string requestId, string detail);

    [LoggerMessage(EventId = 12, Level = LogLevel.Debug, Message = "request={requestId} translation: {note}")]
    public static partial void Translated(ILogger logger, string requestId, string note);

    [LoggerMessage(EventId = 13, Level = LogLevel.Debug, Message = "request={requestId} hedges: account={silent} has said nothing for {seconds} s, account={other} is asked too")]
    public static partial void Hedge(ILogger logger, string requestId, string silent, double seconds, string other);

    [LoggerMessage(EventId = 14, Level = LogLevel.Information, Message = "request={requestId} failed: {tried}")]
    public static partial void Tried(ILogger logger, string requestId, string tried);

    /// <summary>A mark of a quota was passed, once for each passing.</summary>
    public static void QuotaMark(ILogger logger, QuotaStanding mark, TimeZoneInfo zone)
    {
        string of = mark.Model is null ? "" : $" for {mark.Model}";
        QuotaMark(logger, mark.Account, $"{mark.Mark} % of the {mark.Window} quota{of}", mark.Used ?? 0, mark.Limit ?? 0, mark.Counts, mark.RunsOut is { } end ? $"; at this pace it is used up {TimeZoneInfo.ConvertTime(end, zone):yyyy-MM-dd HH:mm}" : "");
    }

    [LoggerMessage(EventId = 16, Level = LogLevel.Warning, Message = "account={account} has used {mark}: {used} of {limit} {counts}{forecast}")]
    private static partial void QuotaMark(ILogger logger, string account, string mark, decimal used, decimal limit, string counts, string forecast);

    [LoggerMessage(EventId = 15, Level = LogLevel.Information, Message = "request={requestId} account={account} model={model} refused max_tokens={asked}; from now on it is asked for at most {allowed}")]
    public static partial void OutputLimited(ILogger logger, string requestId, string account, string model, long asked, long allowed);
}
