using System.Globalization;
using System.Text;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>Fields of the top level that an upstream refuses, knows by another name, or limits.</summary>
internal static class FieldRules
{
    public static QuirkRule[] All { get; } =
    [
        new(
            "unsupported-fields",
            "Drops fields that this kind of upstream refuses.",
            (p, _) => !p.DroppedFields.IsEmpty,
            d => Drop(d, d.Profile.DroppedFields)),
        new(
            "foreign-model-metadata",
            "Drops fields (metadata) that the service refuses for models that are not Qwen's own.",
            (p, m) => !p.DroppedForOtherModels.IsEmpty && !new ModelTraits(m).IsQwen,
            d => Drop(d, d.Profile.DroppedForOtherModels)),
        new(
            "renamed-fields",
            "Sends a field under the name the upstream honours (max_completion_tokens as max_tokens).",
            (p, _) => !p.RenamedFields.IsEmpty,
            Rename),
        new(
            "max-tokens-limit",
            "Lowers max_tokens to what the model can write at most.",
            (p, m) => p.ModelStudioRules && ModelCatalogue.TryGet(m) is not null,
            Clamp) { Messages = Clamp, Responses = Clamp },
    ];

    private static void Drop(RequestDraft draft, IEnumerable<string> names)
    {
        foreach (string name in names) draft.Fields.Remove(Encoding.UTF8.GetBytes(name));
    }

    /// <summary>A field that the client wrote under the honoured name too stays as it is: the other one is ignored anyway.</summary>
    private static void Rename(RequestDraft draft)
    {
        foreach ((string ignored, string honoured) in draft.Profile.RenamedFields)
        {
            byte[] from = Encoding.UTF8.GetBytes(ignored), to = Encoding.UTF8.GetBytes(honoured);
            if (draft.Fields.Find(from).IsEmpty || !draft.Fields.Find(to).IsEmpty) continue;
            draft.Fields.Remove(to);
            draft.Fields.Rename(draft.Fields.FindMember(from)!, to);
        }
    }

    private static void Clamp(RequestDraft draft)
    {
        int limit = draft.Model.Entry!.MaxOutputTokens;
        ReadOnlySpan<byte> asked = draft.Fields.Find(draft.LimitField);
        if (!long.TryParse(asked, NumberStyles.None, CultureInfo.InvariantCulture, out long tokens) || tokens <= limit) return;
        draft.Set(draft.LimitField, limit);
    }
}
