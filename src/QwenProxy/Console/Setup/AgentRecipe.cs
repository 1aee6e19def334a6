using System.Collections.Immutable;
using QwenProxy.Configuration;

namespace QwenProxy.Console.Setup;

/// <summary>The dialect an agent will speak to the proxy.</summary>
internal enum AgentDialect
{
    Chat,
    Responses,
    Messages,
}

/// <summary>How the proxy is reached and what is asked of it.</summary>
/// <param name="Origin">Scheme, host and port, without a slash at the end.</param>
/// <param name="Key">The client key; null when the proxy asks for none.</param>
internal sealed record AgentTarget(string Origin, string Model, string? Key)
{
    /// <summary>For agents that do not start without any key. The proxy ignores it while it asks for none.</summary>
    public const string NoKey = "qwen-proxy";

    private const string DefaultModel = "qwen3.7-plus";

    /// <summary>What an agent is to use of the proxy of this configuration.</summary>
    public static AgentTarget Of(ProxySnapshot snapshot, string? model, string? key) => new(AdminClient.OriginOf(snapshot), model ?? ModelOf(snapshot), key);

    public string KeyOrNone => Key ?? NoKey;

    public string BaseUrl => Origin + "/v1";

    /// <summary>The first model that the accounts name, in their order of use; accounts without a list take any.</summary>
    private static string ModelOf(ProxySnapshot snapshot) =>
        snapshot.Accounts.OrderBy(a => a.Priority).SelectMany(a => a.Models).FirstOrDefault() ?? DefaultModel;
}

/// <summary>What is known of one agent: its settings file, and what has to stand there.</summary>
internal sealed record AgentRecipe(SettingsFormat Format, AgentDialect Dialect, string File, ImmutableArray<SettingWish> Wishes)
{
    /// <summary>
    /// What a file that does not exist begins with: the mark of the format that the agent would otherwise write into it at its first start, so that undo
    /// still knows the file as its own.
    /// </summary>
    public string NewFile { get; init; } = "";

    /// <summary>The text that the file shall have; null for <paramref name="before"/> means that there is none.</summary>
    public string Apply(string? before) => SettingsText.Apply(Format, before ?? NewFile, Wishes);
}
