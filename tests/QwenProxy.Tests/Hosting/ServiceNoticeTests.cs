using System.Globalization;
using System.Net.Sockets;
using System.Text;
using QwenProxy.Hosting;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Hosting;

public sealed class ServiceNoticeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeClock _clock = new();
    private readonly Socket _manager = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly Dictionary<string, string> _variables = [];

    public void Dispose()
    {
        _manager.Dispose();
        _folder.Dispose();
    }

    private ServiceNotice? Notice() => ServiceNotice.From(_variables.GetValueOrDefault, _clock);

    private void Listen()
    {
        string path = _folder.Of("notify");
        _manager.Bind(new UnixDomainSocketEndPoint(path));
        _manager.ReceiveTimeout = 10_000;
        _variables["NOTIFY_SOCKET"] = path;
    }

    private string Heard()
    {
        byte[] buffer = new byte[256];
        return Encoding.ASCII.GetString(buffer, 0, _manager.Receive(buffer));
    }

    [Fact]
    public void NoManager_NoNotice() => Assert.Null(Notice());

    [Fact]
    public void Service_SaysReadyAliveAndStopping()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "systemd is Linux's");
        Listen();
        _variables["WATCHDOG_USEC"] = "30000000";
        _variables["WATCHDOG_PID"] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

        using ServiceNotice notice = Notice()!;
        notice.Ready();
        Assert.Equal("READY=1", Heard());
        _clock.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal("WATCHDOG=1", Heard());
        notice.Stopping();
        Assert.Equal("STOPPING=1", Heard());
    }

    [Fact]
    public void WatchdogOfAnotherProcess_IsNotFed()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "systemd is Linux's");
        Listen();
        _variables["WATCHDOG_USEC"] = "30000000";
        _variables["WATCHDOG_PID"] = "1";

        using ServiceNotice notice = Notice()!;
        notice.Ready();

        Assert.Equal(0, _clock.ArmedTimers);
    }

    [Fact]
    public void ManagerThatWentAway_HurtsNobody()
    {
        _variables["NOTIFY_SOCKET"] = _folder.Of("gone");

        using ServiceNotice? notice = Notice();
        notice?.Ready();
        notice?.Stopping();
    }
}
