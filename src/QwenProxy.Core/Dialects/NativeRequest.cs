using System.Buffers.Text;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects;

/// <summary>
/// A client's request that an upstream which speaks the client's dialect can have as it came: the body, and the places that may differ in it. An
/// upstream is always asked for a stream; a whole answer is its fold.
/// </summary>
public sealed record NativeRequest
{
    public required ReadOnlyMemory<byte> Body { get; init; }

    public required WireDialect Dialect { get; init; }

    /// <summary>The model as the client wrote it.</summary>
    public required string Model { get; init; }

    /// <summary>Finds what of the body stays behind; often nothing.</summary>
    public Func<ReadOnlyMemory<byte>, ByteRange> FindLeftOut { get; init; } = static _ => default;

    /// <summary>The dialect's path below an upstream of a profile; null where such an upstream is not known to speak it.</summary>
    public required Func<UpstreamProfile, string?> PathAt { get; init; }

    /// <summary>The path that upstreams have it at which nothing is known of.</summary>
    public required string UsualPath { get; init; }

    /// <summary>The field in which the dialect says how many tokens the answer may have.</summary>
    public required string LimitField { get; init; }

    /// <summary>How many tokens the client wants at most; null when it does not say.</summary>
    public long? MaxOutputTokens => LimitIn(JsonScanner.Find(Body.Span, Encoding.ASCII.GetBytes(LimitField)));

    /// <summary>Makes what reads the answer.</summary>
    public required Func<EventReader> NewReader { get; init; }

    /// <summary>Where an upstream is asked; null where it should not be.</summary>
    public Uri? UrlAt(NativeMode mode, UpstreamProfile profile, Uri baseUrl) => mode switch
    {
        NativeMode.Never => null,
        NativeMode.Always => UpstreamProfile.Below(baseUrl, PathAt(profile) ?? UsualPath),
        _ => UpstreamProfile.Below(baseUrl, PathAt(profile)),
    };

    /// <summary>The request as an upstream wants it: the same bytes but for what a quirk rule has to change.</summary>
    /// <param name="profile">The upstream's kind.</param>
    /// <param name="model">The upstream's name for the model.</param>
    /// <param name="wish">What is wanted of thinking; null lets the request's own fields stand.</param>
    /// <param name="disabled">Rules the user switched off.</param>
    /// <param name="applied">Gets the id of each rule that changed something.</param>
    public NativeRequest Adapt(UpstreamProfile profile, string model, ThinkingWish? wish, IReadOnlySet<string> disabled, ICollection<string> applied) =>
        this with { Body = QuirkRules.Apply(Body, Dialect, profile, model, wish, disabled, applied) };

    /// <param name="model">The upstream's name for the model.</param>
    /// <param name="atMost">How many output tokens the upstream takes; a larger wish is lowered to it.</param>
    public JsonSplice ForUpstream(string model, long atMost = long.MaxValue)
    {
        JsonSplice splice = new();
        if (FindLeftOut(Body) is { IsEmpty: false } leftOut) splice.Replace(leftOut, default);
        byte[] limit = Encoding.ASCII.GetBytes(LimitField);
        bool streams = false;
        JsonScanner members = new(Body.Span);
        while (members.MoveNext())
        {
            if (members.NameIs("model"u8) && model != Model) splice.Replace(members.Value, JsonText.Quote(model));
            else if (members.NameIs(limit) && LimitIn(members.Value) > atMost) splice.Replace(members.Value, Encoding.ASCII.GetBytes(atMost.ToString(CultureInfo.InvariantCulture)));
            if (!members.NameIs("stream"u8)) continue;
            streams = true;
            if (!members.Value.In(Body.Span).SequenceEqual("true"u8)) splice.Replace(members.Value, "true"u8.ToArray());
        }

        if (!streams) splice.Insert(members.Position - 1, ",\"stream\":true"u8.ToArray());
        return splice;
    }

    private long? LimitIn(ByteRange value) =>
        !value.IsEmpty && Utf8Parser.TryParse(value.In(Body.Span), out long tokens, out int read) && read == value.Length ? tokens : null;
}
