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
        try
        {
            if (options.Store is null) options.Files.EnsureFolder(options.QwenHome, ours: false);
            DeviceLogin login = new(new OAuthClient(options.OAuthBaseUrl, options.Http ?? own, options.Time, options.NewId), (ICredentialsStore?)options.Store ?? FileOf(options), options.Time);
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
        catch (Exception unusable) when (unusable is IOException or UnauthorizedAccessException)
        {
            console.Failed($"the folder {options.QwenHome} cannot be made: {unusable.Message}");
            return 1;
        }
    }

    private static FileCredentials FileOf(LoginOptions options)
    {
        CredentialsFile file = new(CredentialsPaths.For(options.QwenHome, options.Name), null, folderIsOurs: true, options.Files, options.NewId);
        return new FileCredentials(file, new CredentialsLock(file.Folder, options.Files, options.Time, static () => 0.5, options.NewId));
    }
}
