using System.Collections.Immutable;
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
    /// <param name="Keys">What was written, value by value.</param>
    private sealed record Note(bool Existed, int Mode, string Written, ImmutableArray<WrittenKey> Keys);

    public string Path { get; } = System.IO.Path.GetFullPath(
        File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path);

    public string BackupPath => Path + ".qwen-proxy.bak";

    private string NotePath => Path + ".qwen-proxy.undo";

    public bool HasUndo => File.Exists(NotePath);

    /// <summary>The file's text without a byte order mark; null when there is no file.</summary>
    public string? ReadText()
    {
        return files.Read(Path) is { } bytes ? TextOf(bytes) : null;
    }

    private static string TextOf(byte[] bytes)
    {
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
    public string? Write(string text, bool holdsKey, IEnumerable<SettingWish> wishes)
    {
        ImmutableArray<WrittenKey> keys = [.. wishes.Select(WrittenKey.Of)];
        byte[]? before = files.Read(Path);
        byte[] after = [.. MarkOf(before ?? []), .. Encoding.UTF8.GetBytes(text)];
        int mode = before is null || OperatingSystem.IsWindows() ? 0 : (int)File.GetUnixFileMode(Path);
        files.EnsureFolder(System.IO.Path.GetDirectoryName(Path)!, ours: false);
        if (ReadNote() is { } note && before is not null && HashOf(before) == note.Written)
        {
            // Set up twice, with nobody else in between: undo shall lead to before the first time.
            Replace(NotePath, Serialize(note with { Written = HashOf(after), Keys = [.. note.Keys.Where(o => !keys.Any(k => k.Path.SequenceEqual(o.Path))), .. keys] }), OwnerOnly);
        }
        else
        {
            SetAside(BackupPath);
            if (before is not null) Replace(BackupPath, before, OwnerOnly);
            Replace(NotePath, Serialize(new Note(before is not null, mode, HashOf(after), keys)), OwnerOnly);
        }

        Replace(Path, after, holdsKey || mode == 0 ? OwnerOnly : (UnixFileMode)mode);
        return File.Exists(BackupPath) ? BackupPath : null;
    }

    /// <summary>
    /// Puts back what was there before, byte for byte; where others have written since, takes back by key what still stands, and gives false. Throws
    /// <see cref="SettingsFault"/> when neither can be done.
    /// </summary>
    public bool Undo(AgentRecipe recipe)
    {
        Note note = ReadNote() ?? throw new SettingsFault($"{NotePath} cannot be understood; the file as it was is {BackupPath}");
        byte[]? now = files.Read(Path);
        byte[]? before = note.Existed ? files.Read(BackupPath) : null;
        if (note.Existed && before is null) throw new SettingsFault($"its backup {BackupPath} is gone");
        bool isBefore = before is null ? now is null : now is not null && now.AsSpan().SequenceEqual(before);
        bool isOurs = now is not null && HashOf(now) == note.Written;
        if (!isBefore && !isOurs)
        {
            if (now is null || note.Keys.IsEmpty)
            {
                string way = note.Existed ? $"Take what you need from {BackupPath}" : "There was no such file before; delete it if you do not need it";
                throw new SettingsFault($"it has been changed since it was set up, and undoing would lose that. {way}, then delete {NotePath}");
            }

            UndoByKey(recipe, note, now, before);
            return false;
        }

        if (before is null) File.Delete(Path);
        else if (!isBefore) Replace(Path, before, (UnixFileMode)note.Mode);
        Forget();
        return true;
    }

    private void UndoByKey(AgentRecipe recipe, Note note, byte[] now, byte[]? before)
    {
        string? text = KeyUndo.Apply(recipe.Format, ReadText()!, before is null ? null : TextOf(before), recipe.NewFile, note.Keys);
        if (text is null) File.Delete(Path);
        else Replace(Path, [.. MarkOf(now), .. Encoding.UTF8.GetBytes(text)], OperatingSystem.IsWindows() ? OwnerOnly : File.GetUnixFileMode(Path));
        Forget();
    }

    private void Forget()
    {
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

    private static byte[] Serialize(Note note)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteBoolean("existed", note.Existed);
            json.WriteNumber("mode", note.Mode);
            json.WriteString("written", note.Written);
            json.WriteStartArray("keys");
            foreach (WrittenKey key in note.Keys)
            {
                json.WriteStartObject();
                json.WriteStartArray("path");
                foreach (string name in key.Path) json.WriteStringValue(name);
                json.WriteEndArray();
                json.WriteString("value", key.Value);
                json.WriteBoolean("mark", key.IsMark);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return [.. bytes.ToArray(), (byte)'\n'];
    }

    private static ImmutableArray<WrittenKey> ReadKeys(JsonElement note) => !note.TryGetProperty("keys", out JsonElement keys) ? [] :
    [
        .. keys.EnumerateArray().Select(k => new WrittenKey(
            [.. k.GetProperty("path").EnumerateArray().Select(n => n.GetString()!)], k.GetProperty("value").GetString()!, k.GetProperty("mark").GetBoolean())),
    ];

    private Note? ReadNote()
    {
        if (files.Read(NotePath) is not { } bytes) return null;
        try
        {
            using JsonDocument json = JsonDocument.Parse(bytes);
            JsonElement root = json.RootElement;
            return new Note(root.GetProperty("existed").GetBoolean(), root.GetProperty("mode").GetInt32(), root.GetProperty("written").GetString()!, ReadKeys(root));
        }
        catch (Exception broken) when (broken is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
