using System.Text;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

public sealed class CaptureTests : IDisposable
{
    private const string Request = """{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}""";

    private const string Stream =
        ": hello\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Some text 1\"},\"finish_reason\":null,\"index\":0}],\"id\":\"c1\"}\r\n\r\n"
        + "data: {\"choices\":[{\"delta\":{\"content\":\" more\"},\"finish_reason\":\"stop\",\"index\":0}],\"id\":\"c1\"}\n\ndata: [DONE]\n\n";

    private readonly TemporaryFolder _folder = new();

    private string[] Files => Directory.Exists(_folder.Of("captures")) ? [.. Directory.GetFiles(_folder.Of("captures")).Order(StringComparer.Ordinal)] : [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Stream_IsKeptAsItCameAndForItsOwnerOnly()
    {
        await RunAsync(2, s => s);
        Assert.Equal(2, Files.Length);
        Assert.All(Files, f => Assert.Equal(Stream, File.ReadAllText(f)));
        Assert.All(Files, f => Assert.EndsWith(".generic.sse", f, StringComparison.Ordinal));
        if (!OperatingSystem.IsWindows()) Assert.All(Files, f => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(f)));
    }

    [Fact]
    public async Task ByDefault_NothingIsKept()
    {
        await RunAsync(2, s => s with { CaptureStreams = 0 });
        Assert.Empty(Files);
    }

    [Fact]
    public async Task Count_IsBoundedAndTheOldestGo()
    {
        string[] ids = await RunAsync(5, s => s with { CaptureStreams = 2 });
        Assert.Equal(2, Files.Length);
        Assert.Contains(ids[3], Files[0], StringComparison.Ordinal);
        Assert.Contains(ids[4], Files[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_AreBoundedAndTheOldestGo()
    {
        await RunAsync(4, s => s with { CaptureMaxBytes = Stream.Length * 2 + 10 });
        Assert.Equal(2, Files.Length);
    }

    [Fact]
    public async Task StreamLargerThanTheBound_IsTruncatedAndSaysSo()
    {
        await RunAsync(1, s => s with { CaptureMaxBytes = 100 });
        Assert.Equal(Stream[..100] + "\n\n: the capture ends here; the stream went on\n\n", File.ReadAllText(Assert.Single(Files)));
    }

    [Fact]
    public async Task Redaction_KeepsLengthAndStructure()
    {
        await RunAsync(1, s => s with { CaptureRedact = true });
        string expected = Stream.Replace("Some text 1", "xxxx xxxx x", StringComparison.Ordinal).Replace(" more", " xxxx", StringComparison.Ordinal).Replace("hello", "xxxxx", StringComparison.Ordinal);
        Assert.Equal(expected, File.ReadAllText(Assert.Single(Files)));
    }

    [Fact]
    public async Task FolderThatCannotBeWritten_IsToldOnceAndStreamsGoOn()
    {
        await File.WriteAllTextAsync(_folder.Of("captures"), "", TestContext.Current.CancellationToken);
        LogBook? log = null;
        await RunAsync(3, s => s, l => log = l);
        Assert.Single(log!.At(LogLevel.Warning), l => l.StartsWith("Streams cannot be captured", StringComparison.Ordinal));
    }

    /// <summary>Runs so many requests one after the other and gives their ids.</summary>
    private async Task<string[]> RunAsync(int requests, Func<StorageSnapshot, StorageSnapshot> configure, Action<LogBook>? seen = null)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Stream));
        List<string> ids = [];
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            upstream.BaseUrl, s => s with { Storage = configure(new StorageSnapshot { DataFolder = _folder.Path, CaptureStreams = 10 }) });
        for (int i = 0; i < requests; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Request);
            Assert.Contains(" more", Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync()), StringComparison.Ordinal);
            ids.Add(response.Headers.GetValues("x-request-id").Single());
        }

        seen?.Invoke(proxy.Log);
        return [.. ids];
    }
}
