using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using QwenProxy.Credentials;

namespace QwenProxy.Console.Setup;

/// <summary>
/// An agent's settings file with its backup. Two files stand beside it while it is set up: the file as it was, and a note that tells what was written over
/// it. A link stays a link: what it points to is replaced.
/// </summary>
internal sealed class AgentFile(string path, DurableFiles files)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <param name="Existed">False when there was no file before.</param>
    /// <param name="Mode">The file's mode before; 0 where files have none.</param>
    /// <param name="Written">SHA-256 of what was written, in hex.</param>
    private sealed record Note(bool Existed, int Mode, string Written);

    public string Path { get; } = System.IO.Path.GetFullPath(
        File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path);

    public string BackupPath => Path + ".qwen-proxy.bak";

    private string NotePath => Path + ".qwen-proxy.undo";

    public bool HasUndo => File.Exists(NotePath);

    /// <summary>The file's text without a byte order mark; null when there is no file.</summary>
    public string? ReadText()
    {
        if (files.Read(Path) is not { } bytes) return null;
        try
        {
            return s_strict.GetString(MarkOf(bytes).Length > 0 ? bytes.AsSpan(3) : bytes);
        }
        catch (DecoderFallbackException)
        {
            throw new SettingsFault("it is not UTF-8 text");
        }
    }

    /// <summary>Keeps what is there, then replaces it. Gives the path of the backup; null when there was nothing to keep.</summary>
    public string? Write(string text, bool holdsKey)
    {
        byte[]? before = files.Read(Path);
        byte[] after = [.. MarkOf(before ?? []), .. Encoding.UTF8.GetBytes(text)];
        int mode = before is null || OperatingSystem.IsWindows() ? 0 : (int)File.GetUnixFileMode(Path);
        files.EnsureFolder(System.IO.Path.GetDirectoryName(Path)!, ours: false);
        if (ReadNote() is { } note && before is not null && HashOf(before) == note.Written)
        {
            // Set up twice, with nobody else in between: undo shall lead to before the first time.
            Replace(NotePath, Serialize(note with { Written = HashOf(after) }), OwnerOnly);
        }
        else
        {
            SetAside(BackupPath);
            if (before is not null) Replace(BackupPath, before, OwnerOnly);
            Replace(NotePath, Serialize(new Note(before is not null, mode, HashOf(after))), OwnerOnly);
        }

        Replace(Path, after, holdsKey || mode == 0 ? OwnerOnly : (UnixFileMode)mode);
        return File.Exists(BackupPath) ? BackupPath : null;
    }

    /// <summary>Puts back what was there before, byte for byte. Throws <see cref="SettingsFault"/> when that would lose what others wrote since.</summary>
    public void Undo()
    {
        Note note = ReadNote() ?? throw new SettingsFault($"{NotePath} cannot be understood; the file as it was is {BackupPath}");
        byte[]? now = files.Read(Path);
        byte[]? before = note.Existed ? files.Read(BackupPath) : null;
        if (note.Existed && before is null) throw new SettingsFault($"its backup {BackupPath} is gone");
        bool isBefore = before is null ? now is null : now is not null && now.AsSpan().SequenceEqual(before);
        if (!isBefore && (now is null || HashOf(now) != note.Written))
        {
            string way = note.Existed ? $"Take what you need from {BackupPath}" : "There was no such file before; delete it if you do not need it";
            throw new SettingsFault($"it has been changed since it was set up, and undoing would lose that. {way}, then delete {NotePath}");
        }

        if (before is null) File.Delete(Path);
        else if (!isBefore) Replace(Path, before, (UnixFileMode)note.Mode);
        File.Delete(NotePath);
        File.Delete(BackupPath);
    }

    /// <summary>An older backup that no note speaks of any more may be all that is left of somebody's work.</summary>
    private static void SetAside(string backup)
    {
        if (!File.Exists(backup)) return;
        int number = 1;
        while (File.Exists($"{backup}.{number}")) number++;
        File.Move(backup, $"{backup}.{number}");
    }

    private void Replace(string target, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        string temporary = target + ".tmp";
        File.Delete(temporary);
        try
        {
            files.WriteNew(temporary, content);
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(temporary, mode);
            files.Replace(temporary, target);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private static ReadOnlySpan<byte> MarkOf(byte[] bytes) => bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsSpan(0, 3) : default;

    private static string HashOf(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static byte[] Serialize(Note note) =>
        Encoding.UTF8.GetBytes($$"""{"existed":{{(note.Existed ? "true" : "false")}},"mode":{{note.Mode}},"written":"{{note.Written}}"}""" + "\n");

    private Note? ReadNote()
    {
        if (files.Read(NotePath) is not { } bytes) return null;
        try
        {
            using JsonDocument json = JsonDocument.Parse(bytes);
            JsonElement root = json.RootElement;
            return new Note(root.GetProperty("existed").GetBoolean(), root.GetProperty("mode").GetInt32(), root.GetProperty("written").GetString()!);
        }
        catch (Exception broken) when (broken is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
