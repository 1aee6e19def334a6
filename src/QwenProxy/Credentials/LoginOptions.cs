namespace QwenProxy.Credentials;

/// <summary>What <c>login</c> and <c>logout</c> are told.</summary>
internal sealed record LoginOptions
{
    /// <summary>Null for the unnamed account.</summary>
    public string? Name { get; init; }

    /// <summary>QWEN_HOME.</summary>
    public required string QwenHome { get; init; }

    /// <summary>Where sign-ins are kept when that is a database; null for files in <see cref="QwenHome"/>.</summary>
    public DatabaseCredentials? Store { get; init; }

    public Uri OAuthBaseUrl { get; init; } = new("https://chat.qwen.ai");

    public bool Json { get; init; }

    /// <summary>True when stderr is a terminal: shows a QR code and redraws the time left.</summary>
    public bool IsTerminal { get; init; }

    /// <summary>False for <c>--no-browser</c>.</summary>
    public bool OpensBrowser { get; init; } = true;

    public Func<string, bool> OpenBrowser { get; init; } = BrowserLauncher.TryOpen;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Null makes one that follows no redirects.</summary>
    public HttpMessageInvoker? Http { get; init; }

    public Func<string> NewId { get; init; } = TokenBrokerOptions.RandomId;

    public DurableFiles Files { get; init; } = new();
}
