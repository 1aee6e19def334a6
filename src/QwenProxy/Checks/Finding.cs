using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Core.Errors;

namespace QwenProxy.Checks;

/// <summary>What is checked of an account, in the order in which it is told.</summary>
internal enum CheckName
{
    /// <summary>Who can read the file that holds the key or the tokens.</summary>
    File,

    /// <summary>The sign-in: how long its token lasts, whether it can be refreshed, whether the service takes it.</summary>
    Token,

    /// <summary>The service answers at baseUrl.</summary>
    Endpoint,

    /// <summary>This machine's clock against the service's.</summary>
    Clock,

    /// <summary>The service takes the key.</summary>
    Key,

    /// <summary>The key belongs to this region and plan.</summary>
    Region,

    /// <summary>The models that the configuration sends here are on offer.</summary>
    Models,
}

internal enum CheckResult
{
    Ok,

    /// <summary>Worth knowing, but nothing is broken.</summary>
    Note,

    /// <summary>Could not be checked; the text says why.</summary>
    Skipped,

    /// <summary>Broken; there is a fix.</summary>
    Fault,
}

/// <param name="Says">What was found, in a sentence without secrets.</param>
/// <param name="Fix">One line that tells what to do; every fault has one.</param>
internal sealed record Finding(CheckName Check, CheckResult Result, string Says, string? Fix = null)
{
    public static Finding Ok(CheckName check, string says) => new(check, CheckResult.Ok, says);

    public static Finding Note(CheckName check, string says, string? fix = null) => new(check, CheckResult.Note, says, fix);

    public static Finding Skipped(CheckName check, string says, string? fix = null) => new(check, CheckResult.Skipped, says, fix);

    public static Finding Fault(CheckName check, string says, string fix) => new(check, CheckResult.Fault, says, fix);
}

/// <summary>Everything found of one account.</summary>
internal sealed record AccountReport(AccountSnapshot Account, ImmutableArray<Finding> Findings)
{
    public int Faults => Findings.Count(f => f.Result == CheckResult.Fault);
}

/// <summary>Words of others, made fit to be shown: a service may repeat the key it was sent, and may send control characters.</summary>
internal static class ForeignWords
{
    private const int Longest = 200;

    public static string Show(string text, SecretWords? secrets = null) => OAuthReplies.Plain(secrets?.Hide(text) ?? text, Longest);
}
