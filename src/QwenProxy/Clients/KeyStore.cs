using System.Buffers;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Credentials;

namespace QwenProxy.Clients;

/// <summary>Changes the file of client keys: one command at a time, the whole file in one step, readable by its owner only.</summary>
internal sealed class KeyStore(string dataFolder, TimeProvider time)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    private readonly string _path = KeyFile.PathIn(dataFolder);

    /// <summary>Reads, changes and writes under a lock that other commands wait for. A null from <paramref name="change"/> leaves the file as it is.</summary>
    /// <exception cref="IOException">The file cannot be read or written, or is damaged.</exception>
    public async Task ChangeAsync(Func<KeyRing, KeyRing?> change, CancellationToken stop)
    {
        DurableFiles disk = new();
        disk.EnsureFolder(dataFolder, ours: true);
        using FileStream held = await LockAsync(stop);
        KeyRing ring = KeyFile.Read(_path, out string? problem) ?? throw new IOException($"{_path}: {problem}");
        if (change(ring) is not { } changed) return;
        ArrayBufferWriter<byte> json = new();
        KeyRingJson.Write(changed, json);
        string temporary = _path + ".tmp";
        File.Delete(temporary);
        disk.WriteNew(temporary, json.WrittenSpan);
        disk.Replace(temporary, _path);
    }

    /// <summary>The operating system lets go of it when its holder ends, however that comes.</summary>
    private async Task<FileStream> LockAsync(CancellationToken stop)
    {
        long began = time.GetTimestamp();
        while (true)
        {
            try
            {
                FileStreamOptions options = new() { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };
                if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
                return new FileStream(_path + ".lock", options);
            }
            catch (IOException) when (time.GetElapsedTime(began) < s_patience)
            {
                await Task.Delay(s_pause, time, stop);
            }
        }
    }
}
