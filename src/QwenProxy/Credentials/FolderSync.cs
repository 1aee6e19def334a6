using System.Runtime.InteropServices;
using System.Text;

namespace QwenProxy.Credentials;

/// <summary>
/// fsync on a folder. A rename is on the disk only when its folder is; without this a power cut may bring the old file back, and with it a
/// refresh token that has been used up. The framework opens no folders, so this asks the C library.
/// </summary>
internal static class FolderSync
{
    private const int ReadOnly = 0;

    /// <summary>Does what it can: some file systems refuse to sync a folder, and the rename has happened all the same.</summary>
    public static void Flush(string folder)
    {
        int descriptor = Open(Encoding.UTF8.GetBytes(folder + "\0"), ReadOnly);
        if (descriptor < 0) return;
        _ = Sync(descriptor);
        _ = Close(descriptor);
    }

    [DllImport("libc", EntryPoint = "open")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open(byte[] path, int flags);

    [DllImport("libc", EntryPoint = "fsync")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Sync(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int descriptor);
}
