using System.ComponentModel;
using System.Diagnostics;

namespace QwenProxy.Credentials;

/// <summary>Opens a page in the person's browser, where there is a screen to show it on.</summary>
internal static class BrowserLauncher
{
    /// <summary>False when there is no display here (a server, a container, a remote shell) or no program that opens pages.</summary>
    public static bool TryOpen(string link)
    {
        // The link comes from a server: nothing but a web page is handed to the desktop.
        if (!Uri.TryCreate(link, UriKind.Absolute, out Uri? url)) return false;
        if (url.Scheme != Uri.UriSchemeHttps && url.Scheme != Uri.UriSchemeHttp) return false;
        if (!HasDisplay()) return false;
        try
        {
            using Process? process = Process.Start(CommandFor(url.AbsoluteUri));
            return process is not null;
        }
        catch (Exception missing) when (missing is Win32Exception or InvalidOperationException)
        {
            // No opener is installed; the link on the terminal is enough.
            return false;
        }
    }

    private static ProcessStartInfo CommandFor(string link)
    {
        if (OperatingSystem.IsWindows()) return new ProcessStartInfo(link) { UseShellExecute = true };
        return new ProcessStartInfo(OperatingSystem.IsMacOS() ? "open" : "xdg-open")
        {
            ArgumentList = { link },
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
    }

    private static bool HasDisplay()
    {
        if (OperatingSystem.IsWindows()) return Environment.UserInteractive;
        if (OperatingSystem.IsMacOS()) return !IsSet("SSH_CONNECTION");
        return IsSet("DISPLAY") || IsSet("WAYLAND_DISPLAY");
    }

    private static bool IsSet(string variable) => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable));
}
