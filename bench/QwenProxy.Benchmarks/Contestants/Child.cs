using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace QwenProxy.Benchmarks.Contestants;

/// <summary>A running process with all its children: what it costs, and its end.</summary>
internal sealed class Child : IDisposable
{
    private const double TicksPerSecond = 100;
    private readonly Process _process;

    private Child(Process process, int port)
    {
        _process = process;
        Port = port;
    }

    /// <summary>Where it listens on the loopback address.</summary>
    public int Port { get; }

    /// <summary>Starts a command whose output nobody reads. It is run by a shell that turns into it, so that it need not write into a pipe.</summary>
    public static Child Start(int port, string command, IReadOnlyDictionary<string, string>? environment = null)
    {
        ProcessStartInfo start = new("/bin/sh") { UseShellExecute = false };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add($"exec {command} </dev/null >/dev/null 2>&1");
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return new Child(Process.Start(start)!, port);
    }

    public static int FreePort()
    {
        using Socket probe = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    /// <summary>User and system time of the process and its children since they began.</summary>
    public TimeSpan Cpu()
    {
        long ticks = 0;
        foreach (int pid in Tree(_process.Id))
        {
            string stat = Read($"/proc/{pid}/stat");
            if (stat.Length == 0) continue;
            // The name in parentheses may hold spaces; the fields after it are counted from 3.
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            ticks += long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        }

        return TimeSpan.FromSeconds(ticks / TicksPerSecond);
    }

    /// <summary>Resident memory of the process and its children.</summary>
    public double ResidentMiB()
    {
        long kib = 0;
        foreach (int pid in Tree(_process.Id))
        {
            string? line = Read($"/proc/{pid}/status").Split('\n').FirstOrDefault(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            if (line is not null) kib += long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[1], CultureInfo.InvariantCulture);
        }

        return kib / 1024.0;
    }

    /// <summary>Waits until it accepts connections.</summary>
    public async Task WaitUntilListeningAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
        while (true)
        {
            if (_process.HasExited) throw new InvalidOperationException($"A contestant ended at once with exit code {_process.ExitCode}.");
            using Socket probe = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await probe.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Port), limit.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(5, limit.Token);
            }
        }
    }

    public void Dispose()
    {
        foreach (int pid in Enumerable.Reverse(Tree(_process.Id)))
        {
            try
            {
                Process.GetProcessById(pid).Kill();
            }
            catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
            {
                // It ended with its parent.
            }
        }

        _process.WaitForExit();
        _process.Dispose();
    }

    private static List<int> Tree(int root)
    {
        List<int> all = [root];
        for (int i = 0; i < all.Count; i++)
        {
            foreach (string child in Read($"/proc/{all[i]}/task/{all[i]}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                all.Add(int.Parse(child, CultureInfo.InvariantCulture));
            }
        }

        return all;
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
