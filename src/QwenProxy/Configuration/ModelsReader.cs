using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Requests;

namespace QwenProxy.Configuration;

/// <summary>Reads <c>models</c>: aliases in the order written, fallbacks per model, and no circles in either.</summary>
internal sealed class ModelsReader(LoadContext context)
{
    public static readonly string[] Keys = ["aliases", "fallbacks", "thinking"];

    private const string ThinkingWords = "\"client\", \"on\" or \"off\"";


    public ModelsSnapshot Read(ConfigNode? node)
    {
        if (context.Expect(node, ConfigNodeKind.Object, "models", "an object, { \"aliases\": …, \"fallbacks\": … }") is not { } map) return new();
        context.CheckKeys(map, " in models", Keys);
        return new ModelsSnapshot
        {
            Aliases = ReadAliases(map.Find("aliases")),
            Fallbacks = ReadFallbacks(map.Find("fallbacks")),
            Thinking = new ThinkingPolicies(ReadThinking(map.Find("thinking"))),
        };
    }

    private ImmutableArray<KeyValuePair<string, string>> ReadAliases(ConfigNode? node)
    {
        const string allowed = "an object of names and models, { \"gpt-4o\": \"qwen3.7-plus\" }";
        if (context.Expect(node, ConfigNodeKind.Object, "models.aliases", allowed) is not { } map) return [];
        List<ConfigMember> good = [];
        foreach (ConfigMember member in map.Members)
        {
            string path = "models.aliases." + member.Key;
            if (ModelName(member.Value, path) is not { } target) continue;
            if (member.Key.Length == 0)
            {
                context.Fault(context.File, member.Position, "models.aliases has an empty name; it must be " + allowed);
                continue;
            }

            good.Add(member);
            context.Value(path, target, context.LineOf(member.Value));
        }

        ImmutableArray<KeyValuePair<string, string>> aliases = [.. good.Select(m => KeyValuePair.Create(m.Key, m.Value.Text))];
        ModelAliases table = new(aliases);
        foreach (ConfigMember member in good)
        {
            if (!table.Follow(member.Key, out string end))
                context.Fault(context.File, member.Position,
                    $"models.aliases.{member.Key} runs in a circle through \"{end}\"; it must end at a model");
        }

        return aliases;
    }

    private ImmutableDictionary<string, ImmutableArray<string>> ReadFallbacks(ConfigNode? node)
    {
        const string allowed = "an object of models and lists, { \"qwen3.7-max\": [\"qwen3.7-plus\"] }";
        var fallbacks = ImmutableDictionary.CreateBuilder<string, ImmutableArray<string>>();
        if (context.Expect(node, ConfigNodeKind.Object, "models.fallbacks", allowed) is not { } map) return fallbacks.ToImmutable();
        foreach (ConfigMember member in map.Members)
        {
            string path = "models.fallbacks." + member.Key;
            if (context.Expect(member.Value, ConfigNodeKind.Array, path, "a list of models, [\"qwen3.7-plus\"]") is not { } list) continue;
            fallbacks[member.Key] = [.. list.Items.Select(item => ModelName(item, path)).OfType<string>()];
            context.Value(path, string.Join(", ", fallbacks[member.Key]), context.LineOf(list));
        }

        foreach (ConfigMember member in map.Members)
        {
            if (Circle(fallbacks, member.Key) is { } circle)
                context.Fault(context.File, member.Position, $"models.fallbacks.{member.Key} runs in a circle: {string.Join(" → ", circle)}");
        }

        return fallbacks.ToImmutable();
    }

    /// <summary>One word for all models, or a word for each pattern of names.</summary>
    private ImmutableArray<KeyValuePair<string, ThinkingPolicy>> ReadThinking(ConfigNode? node)
    {
        const string path = "models.thinking";
        if (node is null) return [];
        if (node.Kind == ConfigNodeKind.Text) return ReadThinking(node, path) is { } all ? [KeyValuePair.Create("*", all)] : [];
        if (context.Expect(node, ConfigNodeKind.Object, path, $"{ThinkingWords}, or an object of model names and these") is not { } map) return [];
        List<KeyValuePair<string, ThinkingPolicy>> entries = [];
        foreach (ConfigMember member in map.Members)
        {
            if (ReadThinking(member.Value, $"{path}.{member.Key}") is { } policy) entries.Add(KeyValuePair.Create(member.Key, policy));
        }

        return [.. entries];
    }

    private ThinkingPolicy? ReadThinking(ConfigNode node, string path)
    {
        ThinkingPolicy? policy = node is not { Kind: ConfigNodeKind.Text } ? null : node.Text switch
        {
            "client" => ThinkingPolicy.Client,
            "on" => ThinkingPolicy.On,
            "off" => ThinkingPolicy.Off,
            _ => null,
        };
        if (policy is null) context.Fault(node, $"{path} is {(node.Kind == ConfigNodeKind.Text ? $"\"{node.Text}\"" : node.KindInWords)}; it must be {ThinkingWords}");
        else context.Value(path, node.Text, context.LineOf(node));
        return policy;
    }

    /// <summary>The way from a model back to itself; null when there is none.</summary>
    private static List<string>? Circle(IReadOnlyDictionary<string, ImmutableArray<string>> fallbacks, string start)
    {
        HashSet<string> seen = [];
        Stack<List<string>> ways = new([[start]]);
        while (ways.TryPop(out List<string>? way))
        {
            foreach (string next in fallbacks.GetValueOrDefault(way[^1], []))
            {
                if (next == start) return [.. way, start];
                if (seen.Add(next)) ways.Push([.. way, next]);
            }
        }

        return null;
    }

    private string? ModelName(ConfigNode node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Text, path, "the name of a model") is not { } text) return null;
        if (text.Text.Length > 0) return text.Text;
        context.Fault(text, $"{path} is empty; it must be the name of a model");
        return null;
    }
}
