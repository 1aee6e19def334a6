using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;

namespace QwenProxy.Upstreams;

/// <summary>Whom one attempt asks, with what right.</summary>
internal readonly record struct AttemptTarget(AccountSnapshot Account, NextStep.Ask Ask, Uri BaseUrl, string? Token)
{
    /// <summary>A URL below the account's base URL; <paramref name="path"/> begins with a slash and may carry a query.</summary>
    public string Url(string path) => BaseUrl.AbsoluteUri.TrimEnd('/') + path;
}

/// <summary>What an attempt has begun to answer with. To dispose of it ends the attempt.</summary>
internal interface IAttemptAnswer : IDisposable
{
    /// <summary>It is read as a stream of events.</summary>
    bool IsStream { get; }

    /// <summary>The attempt's span and numbers.</summary>
    AttemptTelemetry? Attempt { get; set; }
}

/// <summary>What one attempt came to: something that has begun to answer, or the error that stands in its place.</summary>
internal readonly record struct AttemptOutcome<T>(T? Answer, ProxyError? Error)
    where T : class
{
    /// <summary>The upstream cannot be asked this way, but it can in another: at once, and without blame.</summary>
    public bool AsksAgain { get; init; }

    public static implicit operator AttemptOutcome<T>(ProxyError error) => new(null, error);

    public static implicit operator AttemptOutcome<T>(T answer) => new(answer, null);
}
