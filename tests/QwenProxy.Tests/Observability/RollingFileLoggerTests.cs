using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Observability;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

public sealed class RollingFileLoggerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string LogPath => _folder.Of("logs", "proxy.log");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Line_IsJsonWithItsFields()
    {
        using (RollingFileLogger log = new(LogPath, new FakeClock()))
        {
            log.CreateLogger("c").Log(LogLevel.Warning, new EventId(7), [new("a", 1), new("b", "x\n\"y"), new("c", null), new("{OriginalFormat}", "f")], null, (FieldList _, Exception? _) => "said\nso");
        }

        using JsonDocument line = JsonDocument.Parse(Assert.Single(File.ReadAllLines(LogPath)));
        Assert.Equal("2026-01-01T00:00:00+00:00", line.RootElement.GetProperty("time").GetString());
        Assert.Equal("Warning", line.RootElement.GetProperty("level").GetString());
        Assert.Equal(7, line.RootElement.GetProperty("event").GetInt32());
        Assert.Equal("said\nso", line.RootElement.GetProperty("message").GetString());
        Assert.Equal("""{"a":1,"b":"x\n\u0022y","c":null}""", line.RootElement.GetProperty("fields").GetRawText());
    }

    /// <summary>A umask belongs to the process, so it is another one's.</summary>
    [Theory]
    [InlineData("000")]
    [InlineData("022")]
    [InlineData("277")]
    public async Task Folder_IsTheOwnersOnlyWhateverTheUmask(string umask)
    {
        if (OperatingSystem.IsWindows()) return;
        string config = _folder.Of("config.json");
        await File.WriteAllTextAsync(config, $$"""{ "port": 0, "storage": { "logFile": true, "dataFolder": "{{_folder.Of("data")}}" } }""");
        using ProxyProcess proxy = ProxyProcess.Start(_folder.Path, new Dictionary<string, string>(), ["serve", "--config", config], umask);
        await proxy.AddressAsync();
        Assert.Equal((UnixFileMode)0b111_000_000, File.GetUnixFileMode(_folder.Of("data", "logs")));
    }

    [Fact]
    public void File_IsTheOwnersOnlyAndRolls()
    {
        const int lines = 400;
        using (RollingFileLogger log = new(LogPath, new FakeClock(), maxFileBytes: 4096))
        {
            ILogger logger = log.CreateLogger("c");
            for (int i = 0; i < lines; i++) Say(logger, $"line {i:000}");
        }

        string[] files = [.. Directory.GetFiles(_folder.Of("logs")).Order(StringComparer.Ordinal)];
        Assert.Equal(["proxy.log", "proxy.log.1", "proxy.log.2", "proxy.log.3", "proxy.log.4"], files.Select(Path.GetFileName));
        Assert.All(files.Skip(1), f => Assert.InRange(new FileInfo(f).Length, 4097, 4600));
        if (!OperatingSystem.IsWindows()) Assert.All(files, f => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(f)));
        // Oldest first, the kept lines are the last ones without a gap.
        string[] kept = [.. files.Reverse().SelectMany(File.ReadLines).Select(l => JsonDocument.Parse(l).RootElement.GetProperty("message").GetString()!)];
        Assert.Equal(Enumerable.Range(lines - kept.Length, kept.Length).Select(i => $"line {i:000}"), kept);
    }

    [Fact]
    public void ReopenedFile_IsAppendedTo()
    {
        for (int i = 0; i < 2; i++)
        {
            using RollingFileLogger log = new(LogPath, new FakeClock());
            Say(log.CreateLogger("c"), $"run {i}");
        }

        Assert.Equal(2, File.ReadAllLines(LogPath).Length);
    }

    [Fact]
    public async Task DiskThatCannotKeepUp_LosesLinesAndSaysHowMany()
    {
        const int extra = 100;
        using GatedStream disk = new();
        using (RollingFileLogger log = new(LogPath, new FakeClock(), open: _ => disk))
        {
            ILogger logger = log.CreateLogger("c");
            Say(logger, "first");
            await disk.Reached.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
            // The writer is stuck in the first line; these fill the queue and then some.
            for (int i = 0; i < RollingFileLogger.QueueLength + extra; i++) Say(logger, "more");
            disk.Gate.SetResult();
        }

        string[] written = System.Text.Encoding.UTF8.GetString(disk.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains($"{{\"dropped\":{extra}}}", written);
        Assert.Equal(1 + RollingFileLogger.QueueLength + 1, written.Length);
    }

    [Fact]
    public void FullDisk_LosesLinesAndGoesOnAfterwards()
    {
        int opened = 0;
        using (RollingFileLogger log = new(LogPath, new FakeClock(), open: path => Interlocked.Increment(ref opened) <= 2 ? throw new IOException("full") : new FileStream(path, FileMode.Append)))
        {
            ILogger logger = log.CreateLogger("c");
            for (int i = 0; i < 4; i++) Say(logger, $"line {i}");
        }

        string[] lines = File.ReadAllLines(LogPath);
        Assert.Equal("{\"dropped\":2}", lines[0]);
        Assert.Equal(3, lines.Length);
    }

    private static void Say(ILogger logger, string text) => logger.Log(LogLevel.Information, default, text, null, static (said, _) => said);

    private sealed class FieldList : List<KeyValuePair<string, object?>>;

    private sealed class GatedStream : MemoryStream
    {
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Gate { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Reached.TrySetResult();
            await Gate.Task;
            Write(buffer.Span);
        }
    }
}
