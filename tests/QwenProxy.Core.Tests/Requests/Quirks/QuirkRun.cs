using System.Text;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;

namespace QwenProxy.Core.Tests.Requests.Quirks;

/// <summary>One application of the rules to a request written with single quotes.</summary>
internal sealed record QuirkRun(string Body, IReadOnlyList<string> Applied, bool Same)
{
    public static QuirkRun Of(string profile, string model, string json, ThinkingWish? wish = null, params string[] disabled) =>
        Of(profile, model, Parse(json), wish, disabled);

    /// <summary>For a request that was translated from Messages.</summary>
    public static QuirkRun OfTranslated(string profile, string model, string json)
    {
        ChatRequest request = Parse(json);
        request.JoinsTexts = true;
        return Of(profile, model, request, null);
    }

    /// <summary>For a request that goes to its upstream in its own wire API.</summary>
    public static QuirkRun Native(WireDialect dialect, string profile, string model, string json, ThinkingWish? wish = null, params string[] disabled)
    {
        List<string> applied = [];
        byte[] body = Encoding.UTF8.GetBytes(json.Replace('\'', '"'));
        ReadOnlyMemory<byte> changed = QuirkRules.Apply(body, dialect, Profiles.ByName(profile)!, model, wish, disabled.ToHashSet(), applied);
        return new QuirkRun(Encoding.UTF8.GetString(changed.Span), applied, changed.Equals((ReadOnlyMemory<byte>)body));
    }

    private static QuirkRun Of(string profile, string model, ChatRequest request, ThinkingWish? wish, params string[] disabled)
    {
        List<string> applied = [];
        ChatRequest changed = QuirkRules.Apply(request, Profiles.ByName(profile)!, model, wish, disabled.ToHashSet(), applied);
        return new QuirkRun(Encoding.UTF8.GetString(changed.Body.Span), applied, ReferenceEquals(changed, request));
    }

    private static ChatRequest Parse(string json)
    {
        Assert.True(ChatRequest.TryParse(Encoding.UTF8.GetBytes(json.Replace('\'', '"')), out ChatRequest request, out string fault), fault);
        return request;
    }

    /// <summary>The body is as expected (single quotes again), and exactly these rules made it so.</summary>
    public void Gives(string json, params string[] rules)
    {
        Assert.Equal(json.Replace('\'', '"'), Body);
        Assert.Equal(rules, Applied);
        Assert.Equal(rules.Length == 0, Same);
    }
}
