using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console.Setup;

/// <summary>
/// The agents that can be set up. Files, keys and variables are those of the releases named in <c>docs/clients</c>, read from the vendors' documents and
/// the programs themselves.
/// </summary>
internal sealed class AgentRecipes(ConfigurationSources sources, string qwenHome, AgentTarget target)
{
    private const string Id = "qwen-proxy";
    private const string Title = "Qwen Proxy";

    public AgentRecipe Of(string client) => client switch
    {
        "claude-code" => ClaudeCode(),
        "codex" => Codex(),
        "qwen-code" => QwenCode(),
        "opencode" => OpenCode(),
        "cline" => Cline(),
        "continue" => Continue(),
        "aider" => Aider(),
        _ => throw new ArgumentOutOfRangeException(nameof(client), client, "There is no such agent."),
    };

    /// <summary>The agent adds <c>/v1/messages</c> itself. Its small tasks ask for the haiku model, agents it starts for any of the three.</summary>
    private AgentRecipe ClaudeCode()
    {
        string[] models = ["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"];
        return new AgentRecipe(SettingsFormat.Json, AgentDialect.Messages, Path.Combine(Folder("CLAUDE_CONFIG_DIR", ".claude"), "settings.json"),
        [
            Text(target.Origin, "env", "ANTHROPIC_BASE_URL"),
            Text(target.KeyOrNone, "env", "ANTHROPIC_AUTH_TOKEN"),
            .. models.Select(m => Text(target.Model, "env", m)),
        ]);
    }

    private AgentRecipe Codex()
    {
        SettingWish Provider(string key, string value) => Text(value, "model_providers", Id, key);
        ImmutableArray<SettingWish> wishes =
        [
            Text(target.Model, "model"),
            Text(Id, "model_provider"),
            Provider("name", Title),
            Provider("base_url", target.BaseUrl),
            Provider("wire_api", "responses"),
        ];
        if (target.Key is { } key) wishes = wishes.Add(Provider("experimental_bearer_token", key));
        return new AgentRecipe(SettingsFormat.Toml, AgentDialect.Responses, Path.Combine(Folder("CODEX_HOME", ".codex"), "config.toml"), wishes);
    }

    /// <summary>Its home is the folder in which this proxy looks for its sign-in, too: QWEN_HOME means the same to both.</summary>
    private AgentRecipe QwenCode() => new(SettingsFormat.Json, AgentDialect.Chat, Path.Combine(qwenHome, "settings.json"),
    [
        Text("openai", "security", "auth", "selectedType"),
        Text(target.BaseUrl, "env", "OPENAI_BASE_URL"),
        Text(target.KeyOrNone, "env", "OPENAI_API_KEY"),
        Text(target.Model, "env", "OPENAI_MODEL"),
    ])
    {
        // In a file that exists, a version would keep its older settings from being carried over.
        NewFile = "{\n  \"$version\": 4\n}\n",
    };

    private AgentRecipe OpenCode()
    {
        string folder = sources.Variable("OPENCODE_CONFIG_DIR") is { } named
            ? sources.FullPath(named, sources.WorkingFolder)
            : Path.Combine(sources.Variable("XDG_CONFIG_HOME") is { } xdg && Path.IsPathRooted(xdg) ? xdg : Path.Combine(sources.HomeFolder, ".config"), "opencode");

        // Of two files it reads both, and the one with comments wins.
        string file = Path.Combine(folder, "opencode.jsonc");
        if (!File.Exists(file)) file = Path.Combine(folder, "opencode.json");
        if (sources.Variable("OPENCODE_CONFIG_DIR") is null && sources.Variable("OPENCODE_CONFIG") is { } own) file = sources.FullPath(own, sources.WorkingFolder);
        return new AgentRecipe(SettingsFormat.Json, AgentDialect.Chat, file,
        [
            new(["$schema"], "\"https://opencode.ai/config.json\"", OnlyIfMissing: true),
            Text("@ai-sdk/openai-compatible", "provider", Id, "npm"),
            Text(Title, "provider", Id, "name"),
            Text(target.BaseUrl, "provider", Id, "options", "baseURL"),
            Text(target.KeyOrNone, "provider", Id, "options", "apiKey"),
            new(["provider", Id, "models", target.Model], "{}", OnlyIfMissing: true),
            Text($"{Id}/{target.Model}", "model"),
        ]);
    }

    private AgentRecipe Cline()
    {
        const string provider = "openai-compatible";
        string data = Path.Combine(Folder("CLINE_DIR", ".cline"), "data");
        if (sources.Variable("CLINE_DATA_DIR") is { } named) data = sources.FullPath(named, sources.WorkingFolder);
        string file = Path.Combine(data, "settings", "providers.json");
        if (sources.Variable("CLINE_PROVIDER_SETTINGS_PATH") is { } own) file = sources.FullPath(own, sources.WorkingFolder);
        SettingWish Setting(string key, string value) => Text(value, "providers", provider, "settings", key);
        return new AgentRecipe(SettingsFormat.Json, AgentDialect.Chat, file,
        [
            new(["version"], "1", OnlyIfMissing: true),
            Setting("provider", provider),
            Setting("baseUrl", target.BaseUrl),
            Setting("apiKey", target.KeyOrNone),
            Setting("model", target.Model),

            // Cline wants a time here, and changes it whenever it writes the entry itself; the day of this writing would make no two runs alike.
            new(["providers", provider, "updatedAt"], "\"1970-01-01T00:00:00.000Z\"", OnlyIfMissing: true),
            new(["providers", provider, "tokenSource"], "\"manual\"", OnlyIfMissing: true),
            Text(provider, "lastUsedProvider"),
        ]);
    }

    private AgentRecipe Continue()
    {
        SettingWish Model(string key, string value) => Text(value, "models", Title, key);
        return new AgentRecipe(SettingsFormat.Yaml, AgentDialect.Chat, Path.Combine(Folder("CONTINUE_GLOBAL_DIR", ".continue"), "config.yaml"),
        [
            new(["name"], "\"Local config\"", OnlyIfMissing: true),
            new(["version"], "\"1.0.0\"", OnlyIfMissing: true),
            new(["schema"], "\"v1\"", OnlyIfMissing: true),
            Model("provider", "openai"),
            Model("model", target.Model),
            Model("apiBase", target.BaseUrl),
            Model("apiKey", target.KeyOrNone),
        ]);
    }

    /// <summary>It has no variable for its home; <c>openai/</c> is its word for "over the OpenAI protocol" and does not go over the wire.</summary>
    private AgentRecipe Aider() => new(SettingsFormat.Yaml, AgentDialect.Chat, Path.Combine(sources.HomeFolder, ".aider.conf.yml"),
    [
        Text("openai/" + target.Model, "model"),
        Text(target.BaseUrl, "openai-api-base"),
        Text(target.KeyOrNone, "openai-api-key"),
    ]);

    private string Folder(string variable, string standard) =>
        sources.Variable(variable) is { } named ? sources.FullPath(named, sources.WorkingFolder) : Path.Combine(sources.HomeFolder, standard);

    private static SettingWish Text(string value, params string[] path) =>
        new([.. path], $"\"{JsonEncodedText.Encode(value, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"");
}
