using System.Text.Json;
using QwenProxy.Configuration;
using Spectre.Console;

namespace QwenProxy.Console;

/// <summary>
/// <c>qwen-proxy top</c>: what a running proxy does now, kept up to date on a terminal by the proxy's own events. For a pipe, a terminal that cannot be drawn
/// upon, or with <c>--json</c>, one object with the moment's state: <c>status</c>, <c>running</c> and <c>minute</c>, each as in docs/dashboard.md.
/// </summary>
internal sealed class TopCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(2);

    /// <summary>Nothing a person presses is missed for longer.</summary>
    private static readonly TimeSpan s_keys = TimeSpan.FromMilliseconds(200);

    public async Task<int> RunAsync(StatusOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        TopView view = new(AdminClient.OriginOf(snapshot));
        string? problem = await ListenAsync(snapshot, view, isEnough: static v => v.IsComplete, stop);
        if (!view.IsComplete)
        {
            terminal.Error.WriteLine(problem);
            return ExitCodes.NotFound;
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(terminal.Out) });
        if (options.Json || !terminal.IsInteractive || !console.Profile.Capabilities.Ansi) JsonPrinter.Print(terminal, view.Write);
        else await ShowAsync(console, snapshot, view, stop);
        return ExitCodes.Done;
    }

    /// <summary>Until q is pressed or a signal comes. A proxy that goes away is waited for.</summary>
    private async Task ShowAsync(IAnsiConsole console, ProxySnapshot snapshot, TopView view, CancellationToken stop)
    {
        using CancellationTokenSource quit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        (JsonDocument? list, _) = await AdminClient.GetAsync(snapshot, "/admin/requests", stop);
        if (list is not null) view.Begin(list.RootElement.GetProperty("recent").Clone());
        LiveDisplay live = console.Live(view.Draw(console.Profile.Width, console.Profile.Height, time));
        live.AutoClear = true;
        Task keys = WatchKeysAsync(quit);
        try
        {
            await live.StartAsync(async screen =>
            {
                while (true)
                {
                    string? problem = await ListenAsync(snapshot, view, v =>
                    {
                        screen.UpdateTarget(v.Draw(console.Profile.Width, console.Profile.Height, time));
                        return false;
                    }, quit.Token);
                    view.Problem = problem ?? "The proxy has ended.";
                    screen.UpdateTarget(view.Draw(console.Profile.Width, console.Profile.Height, time));
                    await Task.Delay(s_again, time, quit.Token);
                }
            });
        }
        catch (OperationCanceledException) when (quit.IsCancellationRequested)
        {
            // Asked to end.
        }

        await quit.CancelAsync();
        await keys;
    }

    private async Task WatchKeysAsync(CancellationTokenSource quit)
    {
        if (System.Console.IsInputRedirected) return;
        try
        {
            while (!quit.IsCancellationRequested)
            {
                while (System.Console.KeyAvailable)
                {
                    if (System.Console.ReadKey(intercept: true).KeyChar is 'q' or 'Q') await quit.CancelAsync();
                }

                await Task.Delay(s_keys, time, quit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The view is closed.
        }
    }

    /// <summary>Takes events over until there are enough or they end. Gives why nothing answers; null when something did.</summary>
    private static async Task<string?> ListenAsync(ProxySnapshot snapshot, TopView view, Func<TopView, bool> isEnough, CancellationToken stop)
    {
        (Stream? events, string problem) = await AdminClient.EventsAsync(snapshot, stop);
        if (events is null) return problem;
        await using (events)
        {
            using StreamReader lines = new(events);
            string name = "";
            try
            {
                while (await lines.ReadLineAsync(stop) is { } line)
                {
                    if (line.StartsWith("event: ", StringComparison.Ordinal)) name = line["event: ".Length..];
                    if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                    using JsonDocument data = JsonDocument.Parse(line["data: ".Length..]);
                    view.Take(name, data.RootElement.Clone());
                    if (isEnough(view)) return null;
                }
            }
            catch (Exception broken) when (broken is IOException or HttpRequestException or JsonException)
            {
                return "The proxy does not answer any more.";
            }
        }

        return null;
    }
}
