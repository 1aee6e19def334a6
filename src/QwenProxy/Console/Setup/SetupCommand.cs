using QwenProxy.Configuration;
using QwenProxy.Credentials;

namespace QwenProxy.Console.Setup;

/// <summary>
/// <c>qwen-proxy setup CLIENT</c>: points a coding agent at this proxy. It shows the difference, keeps a backup, writes, and asks the running proxy one
/// question in the agent's dialect. <c>--undo</c> brings the old file back.
/// </summary>
internal sealed class SetupCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    public async Task<int> RunAsync(SetupOptions options, CancellationToken stop)
    {
        ConfigurationSources sources = sourcesOf(options.Flags);
        ConfigurationResult loaded = ConfigurationLoader.Load(sources);
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        // Neither what is taken back nor what is only shown, with *** in its place, needs a key.
        string? key = "YOUR-CLIENT-KEY";
        if (!options.Undo && !(options.Print && options.Key is null && snapshot.Clients.IsEmpty && snapshot.AsksForKey)
            && !new AgentKey(terminal, sources).TryFind(snapshot, options.Client, options.Key, out key)) return ExitCodes.BadUsage;
        AgentTarget target = AgentTarget.Of(snapshot, options.Model, key);
        AgentRecipe recipe = new AgentRecipes(sources, snapshot.Storage.QwenHome, target).Of(options.Client);
        AgentFile file = new(recipe.File, new DurableFiles());
        try
        {
            if (options.Undo) return Undo(options, recipe, file);
            if (options.Print) return Print(options, recipe, file);
            return await WriteAsync(options, recipe, file, target, stop);
        }
        catch (SettingsFault fault)
        {
            string message = $"{file.Path}: {fault.Message.TrimEnd('.')}. Nothing was written.";
            if (options.Json) PrintJson(options, file, "failed", null, new ProbeResult(false, message));
            terminal.Error.WriteLine(message);
            return ExitCodes.Failed;
        }
    }

    private int Undo(SetupOptions options, AgentRecipe recipe, AgentFile file)
    {
        bool isKnown = file.HasUndo;
        bool isWhole = isKnown && file.Undo(recipe);
        if (options.Json) PrintJson(options, file, isKnown ? "undone" : "nothing-to-undo", null, null);
        terminal.Error.WriteLine(isWhole ? $"{file.Path} is as it was before."
            : isKnown ? $"{file.Path}: what this command wrote is taken back; what others wrote since stays."
            : $"There is nothing to undo: this command has not written {file.Path}. Nothing was written.");
        return isKnown ? ExitCodes.Done : ExitCodes.NotFound;
    }

    /// <summary>What a person would write by hand goes to stdout; what it would change in the file that is there, to stderr.</summary>
    private int Print(SetupOptions options, AgentRecipe recipe, AgentFile file)
    {
        string before = file.ReadText() ?? "";
        string after = recipe.Apply(file.ReadText());
        terminal.Error.WriteLine(after == before ? $"{file.Path} is already set up." : $"{file.Path} would change:");
        ShowDifference(before, after);
        terminal.Error.WriteLine("Nothing was written.");
        if (options.Json) PrintJson(options, file, after == before ? "already" : "would-write", null, null);
        else terminal.Out.Write(TextDifference.Mask(recipe.Apply(null)));
        return ExitCodes.Done;
    }

    private async Task<int> WriteAsync(SetupOptions options, AgentRecipe recipe, AgentFile file, AgentTarget target, CancellationToken stop)
    {
        string? before = file.ReadText();
        string after = recipe.Apply(before);
        bool isChange = after != before;
        SetupProbe asking = new(time);
        if (isChange && options.Model is { } model && !options.Force && await asking.WhyNotOfferedAsync(target, model, stop) is { } missing)
        {
            terminal.Error.WriteLine($"{missing} Nothing was written; --force writes it all the same.");
            if (options.Json) PrintJson(options, file, "failed", null, new ProbeResult(false, missing));
            return ExitCodes.NotFound;
        }

        string? backup = null;
        if (isChange)
        {
            terminal.Error.WriteLine($"{file.Path}:");
            ShowDifference(before ?? "", after);
            backup = file.Write(after, holdsKey: target.Key is not null, recipe.Wishes);
            terminal.Error.WriteLine(backup is null
                ? $"Written; there was no such file before. `qwen-proxy setup {options.Client} --undo` removes it."
                : $"Written. The file as it was is {backup}; `qwen-proxy setup {options.Client} --undo` brings it back.");
        }
        else
        {
            terminal.Error.WriteLine($"{file.Path} is already set up; nothing was written.");
        }

        ProbeResult probe = await asking.AskAsync(recipe.Dialect, target, stop);
        terminal.Error.WriteLine((probe.IsGood ? "It works. " : probe.NoProxy ? "It was not tried yet. " : "It does not work yet. ") + probe.Message);
        if (options.Json) PrintJson(options, file, isChange ? "written" : "already", backup, probe);
        return probe.IsGood || probe.NoProxy ? ExitCodes.Done : ExitCodes.NotFound;
    }

    private void ShowDifference(string before, string after)
    {
        foreach (string line in TextDifference.Of(before, after)) terminal.Error.WriteLine(line.TrimEnd('\r'));
    }

    private void PrintJson(SetupOptions options, AgentFile file, string state, string? backup, ProbeResult? probe) => JsonPrinter.Print(terminal, json =>
    {
        json.WriteStartObject();
        json.WriteString("client", options.Client);
        json.WriteString("file", file.Path);
        json.WriteString("state", state);
        json.WriteString("backup", backup);
        if (probe is not null)
        {
            json.WriteBoolean("works", probe.IsGood);
            json.WriteString("message", probe.Message);
        }

        json.WriteEndObject();
    });
}
