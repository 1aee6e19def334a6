using System.Collections.Concurrent;
using System.Diagnostics;

namespace QwenProxy.Tests.Support;

/// <summary>The program itself as a process of its own, with nothing of this one's configuration: what it says on stderr, and signals for it.</summary>
internal sealed class ProxyProcess : IDisposable
{
    private readonly Process _process;
    private readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ProxyProcess(Process process)
    {
        _process = process;
        _process.EnableRaisingEvents = true;
        _process.Exited += (_, _) => _address.TrySetException(new InvalidOperationException("The program ended: " + string.Join('\n', Lines)));
        _process.ErrorDataReceived += (_, e) => Take(e.Data);
        _process.OutputDataReceived += (_, e) => Output.Enqueue(e.Data ?? "");
        _process.Start();
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
    }

    public ConcurrentQueue<string> Lines { get; } = new();

    public ConcurrentQueue<string> Output { get; } = new();

    public static ProxyProcess Start(string home, IReadOnlyDictionary<string, string> variables, params string[] arguments) => Start(home, variables, arguments, umask: null);

    public static ProxyProcess Start(string home, IReadOnlyDictionary<string, string> variables, string[] arguments, string? umask)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "qwen-proxy");
        ProcessStartInfo start = new(umask is null ? program : "/bin/sh", umask is null ? arguments : ["-c", $"umask {umask}; exec \"$0\" \"$@\"", program, .. arguments])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            WorkingDirectory = home,
        };
        foreach (string name in start.Environment.Keys.Where(n => !n.StartsWith("DOTNET_", StringComparison.Ordinal) && n != "PATH").ToArray()) start.Environment.Remove(name);
        start.Environment["HOME"] = home;
        foreach ((string name, string value) in variables) start.Environment[name] = value;
        return new ProxyProcess(new Process { StartInfo = start });
    }

    /// <summary>Where it listens, once it does.</summary>
    public Task<Uri> AddressAsync() => _address.Task.WaitAsync(TimeSpan.FromSeconds(60));

    public void Signal(string name)
    {
        using Process kill = Process.Start("/bin/sh", ["-c", $"kill -{name} {_process.Id}"]);
        kill.WaitForExit();
    }

    public async Task<int> ExitCodeAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        await _process.WaitForExitAsync(limit.Token);
        return _process.ExitCode;
    }

    public int Id => _process.Id;

    /// <summary>What of its memory is in the machine's, as Linux counts it.</summary>
    public long ResidentBytes()
    {
        _process.Refresh();
        return _process.WorkingSet64;
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    private void Take(string? line)
    {
        const string mark = "Qwen Proxy listens on ";
        if (line is null) return;
        Lines.Enqueue(line);
        if (line.IndexOf(mark, StringComparison.Ordinal) is >= 0 and int at) _address.TrySetResult(new Uri(line[(at + mark.Length)..].Split(' ')[0]));
    }
}
