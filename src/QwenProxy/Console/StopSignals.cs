using System.Runtime.InteropServices;

namespace QwenProxy.Console;

/// <summary>
/// Turns the first Ctrl-C, SIGTERM or SIGQUIT, or the end of the terminal, into a cancelled token, so that a command can end in its own time. A second
/// one ends the process at once. SIGHUP means two things: from a terminal that went away it is such an end, from anybody else the wish that a
/// service reads its configuration again.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<PosixSignalRegistration> _registrations;
    private readonly bool _hadTerminal = HasTerminal();

    public StopSignals()
    {
        _registrations = [Register(PosixSignal.SIGINT), Register(PosixSignal.SIGTERM), Register(PosixSignal.SIGQUIT)];
        // Whoever starts a program with nohup wants it to outlive the terminal; to listen would be to hear the signal all the same.
        if (!IsHangUpIgnored()) _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangUp));
    }

    public CancellationToken Token => _stop.Token;

    /// <summary>What a SIGHUP from anybody but the terminal asks for; null in commands that have nothing to read again, and it then ends them.</summary>
    public Action? Reload { get; set; }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
        _stop.Dispose();
    }

    private PosixSignalRegistration Register(PosixSignal signal) => PosixSignalRegistration.Create(signal, OnSignal);

    private void OnSignal(PosixSignalContext context)
    {
        if (_stop.IsCancellationRequested) return;
        context.Cancel = true;
        _stop.Cancel();
    }

    /// <summary>A terminal that goes sends it more than once, by way of the shell too, so a second one hurries nobody.</summary>
    private void OnHangUp(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_stop.IsCancellationRequested) return;
        if (Reload is { } reload && (!_hadTerminal || HasTerminal())) reload();
        else _stop.Cancel();
    }

    /// <summary>The terminal that signals come from, whatever stdin and stderr are.</summary>
    private static bool HasTerminal()
    {
        if (OperatingSystem.IsWindows()) return false;
        try
        {
            using FileStream terminal = new("/dev/tty", FileMode.Open, FileAccess.Read);
            return true;
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static bool IsHangUpIgnored()
    {
        const string ignored = "SigIgn:";
        if (!OperatingSystem.IsLinux()) return false;
        string? mask = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith(ignored, StringComparison.Ordinal));
        return mask is not null && ulong.TryParse(mask[ignored.Length..], System.Globalization.NumberStyles.HexNumber | System.Globalization.NumberStyles.AllowLeadingWhite, null, out ulong bits) && (bits & 1) != 0;
    }
}
