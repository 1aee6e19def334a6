using QwenProxy.Benchmarks.Contestants;

namespace QwenProxy.Benchmarks.Work;

/// <summary>The contestants of one run, all up at once in front of one upstream, and the folder they work in.</summary>
internal sealed class Field : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qwen-proxy-bench-").FullName;
    private readonly Dictionary<string, Child> _running = [];
    private readonly Dictionary<string, Child> _stamped = [];
    private int _folders;

    private Field(Child upstream, int stampedPort)
    {
        UpstreamProcess = upstream;
        StampedPort = stampedPort;
    }

    public Child UpstreamProcess { get; }

    public int StampedPort { get; }

    public static async Task<Field> StartAsync()
    {
        int port = Child.FreePort(), stamped = Child.FreePort();
        Field field = new(Child.Start(port, $"'{ContestantList.OwnBinary()}' upstream {port} {stamped}"), stamped);
        await field.UpstreamProcess.WaitUntilListeningAsync();
        return field;
    }

    /// <summary>The contestant that runs through the whole benchmark; <paramref name="stamped"/> chooses the one before the stamping upstream.</summary>
    public async Task<Child> OfAsync(Contestant contestant, bool stamped = false)
    {
        Dictionary<string, Child> all = stamped ? _stamped : _running;
        if (!all.TryGetValue(contestant.Name, out Child? child)) all[contestant.Name] = child = await StartFreshAsync(contestant, stamped);
        return child;
    }

    /// <summary>One of its own, for figures of a fresh process. The caller ends it.</summary>
    public async Task<Child> StartFreshAsync(Contestant contestant, bool stamped = false)
    {
        Child child = Launch(contestant, stamped);
        await child.WaitUntilListeningAsync();
        return child;
    }

    /// <summary>The same without waiting for it.</summary>
    public Child Launch(Contestant contestant, bool stamped = false)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, $"{++_folders}")).FullName;
        // nginx's workers are another user when it is started by root.
        if (OperatingSystem.IsLinux()) File.SetUnixFileMode(_folder, File.GetUnixFileMode(_folder) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        return contestant.Start(Child.FreePort(), stamped ? StampedPort : UpstreamProcess.Port, folder);
    }

    public void Dispose()
    {
        foreach (Child child in _running.Values.Concat(_stamped.Values)) child.Dispose();
        UpstreamProcess.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
