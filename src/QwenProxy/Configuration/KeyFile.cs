using QwenProxy.Core.Clients;

namespace QwenProxy.Configuration;

/// <summary>
/// The file of the keys that <c>qwen-proxy keys</c> makes. A file of its own in the data folder, and not a table of the ledger: the command writes it before a
/// proxy ever ran and while one runs, a request must not wait for a disk to know who asks, and whoever copies a ledger takes no hashes along.
/// </summary>
internal static class KeyFile
{
    public const string Name = "keys.json";

    /// <summary>The copy of a fleet's keys. Another file: the keys of one machine are not lost when it joins a fleet.</summary>
    public const string FleetName = "fleet-keys.json";

    public static string PathOf(StorageSnapshot storage) => Path.Combine(storage.DataFolder, storage.Database is null ? Name : FleetName);

    /// <summary>No keys when there is no file. A file that cannot be understood is a fault: without it, nobody can tell whether a key is asked for.</summary>
    public static KeyRing Read(StorageSnapshot storage, LoadContext context)
    {
        if (storage.DataFolder.Length == 0) return KeyRing.Empty;
        string path = PathOf(storage);
        if (storage.Database is not null && !File.Exists(path)) return KeyRing.Unknown;
        if (Read(path, out string? problem) is { } ring) return ring;
        context.Watch(path);
        context.Fault(path, problem!);
        return KeyRing.Empty;
    }

    /// <summary>Null, with the problem, when it cannot be read or understood.</summary>
    public static KeyRing? Read(string path, out string? problem)
    {
        problem = null;
        try
        {
            if (KeyRingJson.TryRead(File.ReadAllBytes(path), out KeyRing ring)) return ring;
            problem = "the file of client keys is damaged, or of a newer version; mend it, or take it away and add the keys again";
        }
        catch (Exception none) when (none is FileNotFoundException or DirectoryNotFoundException)
        {
            return KeyRing.Empty;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            problem = "the file of client keys cannot be read: " + failure.Message;
        }

        return null;
    }
}
