using System.Security.Cryptography;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary><c>login [NAME]</c>. Exit codes: 0 signed in, 1 failed or given up, 64 a name that cannot be used.</summary>
internal static class LoginCommand
{
    public static async Task<int> RunAsync(LoginOptions options, TextWriter output, TextWriter errors, CancellationToken stop)
    {
        LoginConsole console = new(options, output, errors);
        if (options.Name is { } name && CredentialsPaths.NameFault(name) is { } fault)
        {
            console.Failed(fault);
            return 64;
        }

        using SocketsHttpHandler handler = new() { AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(10) };
        using HttpMessageInvoker own = new(handler, disposeHandler: false);
        DeviceLogin login = Create(options, options.Http ?? own);
        try
        {
            Pkce pkce = new(RandomNumberGenerator.GetBytes(Pkce.EntropyBytes));
            DeviceLoginResult result = await login.RunAsync(pkce, console, stop);
            if (result.IsSignedIn) console.Done(result);
            else console.Failed(result.Failure!);
            return result.IsSignedIn ? 0 : 1;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            console.Failed("it was given up; nothing was changed");
            return 1;
        }
    }

    private static DeviceLogin Create(LoginOptions options, HttpMessageInvoker http)
    {
        CredentialsFile file = new(CredentialsPaths.For(options.QwenHome, options.Name), null, folderIsOurs: true, options.Files, options.NewId);
        CredentialsLock fileLock = new(file.Folder, options.Files, options.Time, static () => 0.5, options.NewId);
        OAuthClient client = new(options.OAuthBaseUrl, http, options.Time, options.NewId);
        return new DeviceLogin(client, file, fileLock, options.Files, options.Time);
    }
}
