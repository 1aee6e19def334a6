using System.Text.Json;

namespace QwenProxy.Credentials;

/// <summary>
/// <c>logout [NAME]</c>: moves the file to <c>*.bak</c>; nothing is deleted. Exit codes: 0 signed out, 1 failed, 2 no such sign-in, 64 a bad
/// name.
/// </summary>
internal static class LogoutCommand
{
    public static async Task<int> RunAsync(LoginOptions options, TextWriter output, TextWriter errors, CancellationToken stop)
    {
        if (options.Name is { } name && CredentialsPaths.NameFault(name) is { } fault)
        {
            await errors.WriteLineAsync(fault);
            return 64;
        }

        if (options.Store is { } store) return await EndAsync(options, store, output, errors, stop);
        CredentialsFile file = new(
            CredentialsPaths.For(options.QwenHome, options.Name), CredentialsPaths.FallbackFor(options.QwenHome, options.Name), folderIsOurs: true,
            options.Files, options.NewId);
        string path = file.Path;
        if (!File.Exists(path))
        {
            await errors.WriteLineAsync($"There is no sign-in to end: {path} does not exist.");
            return 2;
        }

        try
        {
            // A refresh in flight would write the file again a moment later.
            CredentialsLock fileLock = new(file.Folder, options.Files, options.Time, static () => 0.5, options.NewId);
            using LockAttempt attempt = await fileLock.AcquireAsync(() => false, stop);
            string? backup = file.MoveToBackup();
            await TellAsync(options, output, errors, path, backup);
            return 0;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            await errors.WriteLineAsync($"{path} could not be moved: {failed.Message}");
            return 1;
        }
    }

    /// <summary>The row stays, sealed and marked: nothing is deleted here either.</summary>
    private static async Task<int> EndAsync(LoginOptions options, DatabaseCredentials store, TextWriter output, TextWriter errors, CancellationToken stop)
    {
        using LockAttempt attempt = await store.AcquireAsync(() => false, stop);
        string? fault = attempt.Outcome == LockOutcome.Held ? null : attempt.Reason;
        if (fault is null && store.Stamp() is null)
        {
            await errors.WriteLineAsync($"There is no sign-in to end: {store.Read().Fault}.");
            return 2;
        }

        fault ??= await store.SignOutAsync(stop);
        if (fault is not null)
        {
            await errors.WriteLineAsync($"The sign-in in {store.Path} could not be ended: {fault}.");
            return 1;
        }

        await TellAsync(options, output, errors, store.Path, backup: null);
        return 0;
    }

    private static async Task TellAsync(LoginOptions options, TextWriter output, TextWriter errors, string path, string? backup)
    {
        if (options.Json)
        {
            using MemoryStream line = new();
            await using (Utf8JsonWriter json = new(line))
            {
                json.WriteStartObject();
                json.WriteString("event", "signed_out");
                json.WriteString("file", path);
                json.WriteString("backup", backup);
                json.WriteEndObject();
            }

            await output.WriteLineAsync(System.Text.Encoding.UTF8.GetString(line.ToArray()));
            return;
        }

        await errors.WriteLineAsync(backup is null ? $"Signed out in {path}, for all replicas." : $"Signed out. {path} is now {backup}.");
        bool shared = Path.GetFileName(path) == CredentialsPaths.SharedFile;
        if (shared) await errors.WriteLineAsync("The file was shared with qwen-code, which is signed out too.");
    }
}
