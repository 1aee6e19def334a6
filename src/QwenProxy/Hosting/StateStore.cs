using System.Buffers;
using Microsoft.Extensions.Logging;
using QwenProxy.Credentials;

namespace QwenProxy.Hosting;

/// <summary>One thing that outlives the process.</summary>
/// <param name="Name">The file's name in the state folder.</param>
/// <param name="Read">Takes over what the file says; false when it is damaged.</param>
/// <param name="Write">Writes what there is to remember now.</param>
internal sealed record StateFile(string Name, Func<ReadOnlyMemory<byte>, bool> Read, Action<IBufferWriter<byte>> Write);

/// <summary>
/// Keeps small state across restarts as files in one folder, each replaced in one step and readable by its owner only. What is to be written is
/// rendered every few seconds and written when it differs: nobody on the way of a request has to say that something changed. State is a
/// convenience, so neither a damaged file nor a folder that cannot be written stops the proxy.
/// </summary>
internal sealed partial class StateStore : IAsyncDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);

    private readonly string _folder;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly StateFile[] _files;
    private readonly byte[]?[] _written;
    private readonly DurableFiles _disk = new();
    private readonly CancellationTokenSource _stop = new();
    private Task? _saving;
    private bool _toldUnwritable;

    public StateStore(string folder, TimeProvider time, ILogger logger, params StateFile[] files)
    {
        _folder = folder;
        _time = time;
        _logger = logger;
        _files = files;
        _written = new byte[]?[files.Length];
    }

    /// <summary>Reads every file. One that is damaged or cannot be read is told once and passed over.</summary>
    public void Load()
    {
        for (int i = 0; i < _files.Length; i++)
        {
            string path = Path.Combine(_folder, _files[i].Name);
            bool isGood = true;
            try
            {
                isGood = _disk.Read(path) is not { } bytes || _files[i].Read(bytes);
                if (!isGood) LogDamaged(_logger, path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                LogUnreadable(_logger, path, failure.Message);
            }

            // What was just read needs no writing; a damaged file does.
            _written[i] = isGood ? Render(_files[i]) : null;
        }
    }

    /// <summary>Begins to save what changes.</summary>
    public void Start() => _saving ??= SaveRegularlyAsync();

    /// <summary>Saves a last time, unless it was never started.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_saving is not null)
        {
            await _saving;
            Save();
        }

        _stop.Dispose();
    }

    private async Task SaveRegularlyAsync()
    {
        using PeriodicTimer timer = new(Interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token)) Save();
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The proxy stops: Dispose saves what is left.
        }
    }

    private void Save()
    {
        for (int i = 0; i < _files.Length; i++)
        {
            byte[] now = Render(_files[i]);
            if (_written[i] is { } last && now.AsSpan().SequenceEqual(last)) continue;
            try
            {
                Replace(Path.Combine(_folder, _files[i].Name), now);
                _written[i] = now;
                _toldUnwritable = false;
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                if (!_toldUnwritable) LogUnwritable(_logger, _folder, failure.Message);
                _toldUnwritable = true;
            }
        }
    }

    private void Replace(string path, byte[] content)
    {
        _disk.EnsureFolder(_folder, ours: true);
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        // Left over by a process of the same number that died while it wrote.
        File.Delete(temporary);
        _disk.WriteNew(temporary, content);
        _disk.Replace(temporary, path);
    }

    private static byte[] Render(StateFile file)
    {
        ArrayBufferWriter<byte> output = new();
        file.Write(output);
        return output.WrittenSpan.ToArray();
    }

    [LoggerMessage(EventId = 50, Level = LogLevel.Warning, Message = "The state file {path} is damaged; the proxy begins without it and replaces it.")]
    private static partial void LogDamaged(ILogger logger, string path);

    [LoggerMessage(EventId = 51, Level = LogLevel.Warning, Message = "The state file {path} cannot be read: {problem}")]
    private static partial void LogUnreadable(ILogger logger, string path, string problem);

    [LoggerMessage(EventId = 52, Level = LogLevel.Warning, Message = "State cannot be saved in {folder}: {problem} The proxy runs on; breakers, cooldowns and what was learned are lost at a restart.")]
    private static partial void LogUnwritable(ILogger logger, string folder, string problem);
}
