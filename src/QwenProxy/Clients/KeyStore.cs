using System.Buffers;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Credentials;
using QwenProxy.Storage;

namespace QwenProxy.Clients;

/// <summary>
/// Changes client keys: on one machine their file, one command at a time, the whole file in one step, readable by its owner only; in a fleet their rows.
/// </summary>
internal sealed class KeyStore(StorageSnapshot storage, TimeProvider time)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    private readonly string _path = KeyFile.PathOf(storage);

    /// <summary>Reads, changes and writes under a lock that other commands wait for. A null from <paramref name="change"/> leaves the file as it is.</summary>
    /// <exception cref="IOException">The file cannot be read or written, or is damaged.</exception>
    /// <exception cref="DatabaseAwayException">The fleet's database is away.</exception>
    public async Task ChangeAsync(Func<KeyRing, KeyRing?> change, CancellationToken stop)
    {
        if (storage.Database is { } address)
        {
            await using FleetDatabase database = new(address, time, NullLogger.Instance);
            await new FleetKeys(database).ChangeAsync(change, stop);
            return;
        }

        DurableFiles disk = new();
        disk.EnsureFolder(storage.DataFolder, ours: true);
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

    /// <summary>The keys as they are now. A fleet's are asked for: the copy of this machine may be old, and where no replica runs there is none.</summary>
    public static async Task<ProxySnapshot> WithKeysAsync(ProxySnapshot snapshot, TimeProvider time, CancellationToken stop)
    {
        if (snapshot.Storage.Database is not { } address) return snapshot;
        await using FleetDatabase database = new(address, time, NullLogger.Instance);
        return snapshot with { Keys = await new FleetKeys(database).ReadAsync(stop) };
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
