using System.Collections.Immutable;

namespace QwenProxy.Configuration;

/// <summary>Reads lists of names.</summary>
internal static class ListReader
{
    public static ImmutableArray<string> ReadModels(LoadContext context, ConfigNode? node, string path) =>
        ReadNames(context, node, path, "a list of model names, [\"qwen3.7-plus\"]");

    public static ImmutableArray<string> ReadNames(LoadContext context, ConfigNode? node, string path, string allowed)
    {
        if (context.Expect(node, ConfigNodeKind.Array, path, allowed) is not { } list) return [];
        List<string> models = [];
        foreach (ConfigNode item in list.Items)
        {
            if (item.Kind == ConfigNodeKind.Text && item.Text.Length > 0) models.Add(item.Text);
            else context.Fault(item, $"{path} holds {(item.Kind == ConfigNodeKind.Text ? "an empty name" : item.KindInWords)}; it must be {allowed}");
        }

        context.Value(path, string.Join(", ", models), context.LineOf(list));
        return [.. models];
    }
}
