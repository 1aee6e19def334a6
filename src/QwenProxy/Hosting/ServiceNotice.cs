using System.Net.Sockets;
using System.Text;

namespace QwenProxy.Hosting;

/// <summary>
/// Tells systemd how the service is doing (sd_notify(3)): ready once it listens, stopping when it drains, and alive at half the watchdog's interval.
/// The sign of life comes from the thread pool, as every answer does: a pool that is stuck sends none, and the service is started anew.
/// </summary>
internal sealed class ServiceNotice : IDisposable
{
    private readonly Socket _socket;
    private readonly UnixDomainSocketEndPoint _address;
    private readonly TimeSpan _watchdog;
    private readonly TimeProvider _time;
    private ITimer? _timer;

    private ServiceNotice(string path, TimeSpan watchdog, TimeProvider time)
    {
        // An address that begins with @ is in the abstract namespace, which the kernel marks by a zero byte.
        _address = new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path);
        _socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        _watchdog = watchdog;
        _time = time;
    }

    /// <summary>Null where no service manager waits for word.</summary>
    public static ServiceNotice? From(Func<string, string?> variable, TimeProvider time)
    {
        if (OperatingSystem.IsWindows() || variable("NOTIFY_SOCKET") is not { Length: > 1 } path || path[0] is not ('/' or '@')) return null;
        // The watchdog may be meant for another process of the unit.
        bool forUs = variable("WATCHDOG_PID") is not { Length: > 0 } pid || pid == Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);
        TimeSpan watchdog = forUs && ulong.TryParse(variable("WATCHDOG_USEC"), out ulong micros) && micros is > 0 and < long.MaxValue / 10
            ? TimeSpan.FromMicroseconds(micros)
            : TimeSpan.Zero;
        return new ServiceNotice(path, watchdog, time);
    }

    public void Ready()
    {
        Send("READY=1");
        if (_watchdog > TimeSpan.Zero) _timer = _time.CreateTimer(_ => Send("WATCHDOG=1"), null, _watchdog / 2, _watchdog / 2);
    }

    public void Stopping() => Send("STOPPING=1");

    public void Dispose()
    {
        _timer?.Dispose();
        _socket.Dispose();
    }

    private void Send(string state)
    {
        try
        {
            _socket.SendTo(Encoding.ASCII.GetBytes(state), _address);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The manager went away or the service is over: answers matter more than telling about them.
        }
    }
}
