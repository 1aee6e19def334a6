using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator;

/// <summary>The models on offer, in OpenAI's shape.</summary>
internal sealed class ModelList(IReadOnlyList<string>? names)
{
    private const long Created = 1_760_000_000;

    private static readonly string[] Usual =
        ["qwen3.8-max", "qwen3.8-flash", "qwen3.7-max", "qwen3.7-plus", "qwen3.6-plus", "qwen3-coder-plus", "coder-model", "text-embedding-v4"];

    private readonly IReadOnlyList<string> _names = names ?? Usual;

    public bool Contains(string name) => _names.Contains(name);

    public byte[] List()
    {
        using JsonBuilder json = new();
        json.Raw("{\"object\":\"list\",\"data\":["u8);
        for (int i = 0; i < _names.Count; i++)
        {
            if (i > 0) json.Raw(","u8);
            Model(json, _names[i]);
        }

        return json.Raw("]}"u8).ToArray();
    }

    public byte[]? One(string name)
    {
        name = Uri.UnescapeDataString(name);
        if (!Contains(name)) return null;
        using JsonBuilder json = new();
        Model(json, name);
        return json.ToArray();
    }

    private static void Model(JsonBuilder json, string name) =>
        json.Raw("{\"id\":"u8).Text(name).Raw(",\"object\":\"model\",\"created\":"u8).Number(Created).Raw(",\"owned_by\":\"system\"}"u8);
}
