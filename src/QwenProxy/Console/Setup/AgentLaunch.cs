using System.Collections.Immutable;
using System.Text;

namespace QwenProxy.Console.Setup;

/// <summary>How one run of an agent is pointed at the proxy without its settings being touched.</summary>
internal sealed record AgentLaunch(string Program)
{
    /// <summary>Arguments that go before the user's own.</summary>
    public ImmutableArray<string> Arguments { get; init; } = [];

    public ImmutableArray<KeyValuePair<string, string>> Variables { get; init; } = [];

    /// <summary>The text of a settings file that lives as long as the run; null where none is needed.</summary>
    public string? SettingsText { get; init; }

    /// <summary>The variable that leads to that file; null when it is the last of <see cref="Arguments"/>.</summary>
    public string? SettingsVariable { get; init; }

    public string SettingsName { get; init; } = "";

    /// <summary>By the same recipe that <c>setup</c> writes; what each release of an agent reads is told in <c>docs/clients</c>.</summary>
    public static AgentLaunch Of(string client, AgentRecipe recipe, AgentTarget target) => client switch
    {
        "claude-code" => new("claude") { Variables = EnvironmentOf(recipe) },
        "codex" => Codex(recipe, target),
        "qwen-code" => new("qwen") { Variables = EnvironmentOf(recipe), Arguments = ["--auth-type", "openai"] },
        "opencode" => new("opencode") { Variables = [new("OPENCODE_CONFIG_CONTENT", recipe.Apply(null).ReplaceLineEndings(" "))] },
        "cline" => new("cline") { SettingsText = recipe.Apply(null), SettingsVariable = "CLINE_PROVIDER_SETTINGS_PATH", SettingsName = "providers.json" },
        "continue" => new("cn") { SettingsText = recipe.Apply(null), SettingsName = "config.yaml", Arguments = ["--config"] },
        "aider" => new("aider") { Variables = [.. recipe.Wishes.Select(w => KeyValuePair.Create("AIDER_" + w.Path[0].Replace('-', '_').ToUpperInvariant(), TextOf(w)))] },
        _ => throw new ArgumentOutOfRangeException(nameof(client), client, "There is no such agent."),
    };

    /// <summary>
    /// Lines for a POSIX shell to read. Where variables do all, these; else a function of the agent's name that calls <c>qwen-proxy run</c>, since a shell
    /// cannot know when a settings file is no longer needed.
    /// </summary>
    public string ForShell(string client, string ownProgram)
    {
        StringBuilder lines = new();
        bool byVariables = Arguments.IsEmpty && SettingsText is null;
        if (byVariables) foreach ((string name, string value) in Variables) lines.Append("export ").Append(name).Append('=').Append(Quoted(value)).Append('\n');
        else lines.Append(Program).Append("() { ").Append(Quoted(ownProgram)).Append(" run ").Append(client).Append(" -- \"$@\"; }\n");
        return lines.ToString();
    }

    private static ImmutableArray<KeyValuePair<string, string>> EnvironmentOf(AgentRecipe recipe) =>
        [.. recipe.Wishes.Where(w => w.Path[0] == "env").Select(w => KeyValuePair.Create(w.Path[1], TextOf(w)))];

    /// <summary>Its command line takes any setting as TOML. A key goes by a variable: everyone on the machine can read a command line.</summary>
    private static AgentLaunch Codex(AgentRecipe recipe, AgentTarget target)
    {
        const string keyVariable = AgentKey.Variable;
        const string keySetting = "experimental_bearer_token";
        List<string> arguments = [];
        foreach (SettingWish wish in recipe.Wishes.Where(w => w.Path[^1] != keySetting)) arguments.AddRange("-c", $"{string.Join('.', wish.Path)}={wish.Value}");
        if (target.Key is not { } key) return new AgentLaunch("codex") { Arguments = [.. arguments] };
        arguments.AddRange("-c", $"model_providers.{recipe.Wishes.First(w => w.Path.Length == 3).Path[1]}.env_key=\"{keyVariable}\"");
        return new AgentLaunch("codex") { Arguments = [.. arguments], Variables = [new(keyVariable, key)] };
    }

    private static string TextOf(SettingWish wish)
    {
        using System.Text.Json.JsonDocument value = System.Text.Json.JsonDocument.Parse(wish.Value);
        return value.RootElement.GetString()!;
    }

    private static string Quoted(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
