using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;

namespace QwenProxy.Observability;

/// <summary>Where log lines go: stderr, readable on a terminal and as JSON lines elsewhere; and, when asked for, a rolling file in the data folder.</summary>
internal static class Logging
{
    /// <param name="reopen">Closes files and opens them anew by their names, for a program that has moved them away.</param>
    public static ILoggerFactory Create(ProxySnapshot snapshot, bool onTerminal, out Action reopen)
    {
        RollingFileLogger? file = null;
        reopen = () => file?.Reopen();
        return LoggerFactory.Create(builder => Configure(builder, snapshot, onTerminal, () => file = new RollingFileLogger(Path.Combine(snapshot.Storage.DataFolder, "logs", "proxy.log"))));
    }

    /// <summary>A server that cannot listen is told in one sentence by whoever started it; the stacks that the framework logs before say nothing more.</summary>
    public static ILoggingBuilder HideStartFailures(ILoggingBuilder builder, LogLevel least) =>
        builder.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None).AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => level >= least && level != LogLevel.Critical);

    private static void Configure(ILoggingBuilder builder, ProxySnapshot snapshot, bool onTerminal, Func<ILoggerProvider> makeFile)
    {
        builder.SetMinimumLevel(snapshot.Debug ? LogLevel.Debug : LogLevel.Information);
        builder.AddFilter("Microsoft", LogLevel.Warning);
        HideStartFailures(builder, LogLevel.Warning);
        // While this category may log, the host makes an Activity and a log scope for every request, which nobody reads.
        builder.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        if (onTerminal)
        {
            Add(builder, () => new TerminalLogger(System.Console.OpenStandardError(), TimeProvider.System));
        }
        else
        {
            Add(builder, () => new JsonLineLogger(System.Console.OpenStandardError(), TimeProvider.System));
        }

        if (snapshot.Storage.LogToFile) Add(builder, makeFile);
    }

    /// <summary>By a factory, since only what the container made is disposed with it, and the lines of the last moment are written on disposal.</summary>
    private static void Add(ILoggingBuilder builder, Func<ILoggerProvider> make) => builder.Services.AddSingleton(_ => make());
}
