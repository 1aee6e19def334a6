using System.Text;
using System.Text.Json;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;

namespace QwenProxy.Core.Tests.Requests.Quirks;

/// <summary>What holds for every request, profile, model and wish: checked over requests made by chance from fixed seeds.</summary>
public sealed class QuirkPropertyTests
{
    private const int Cases = 4000;
    private static readonly string[] Models = ["qwen3.7-max", "qwen3.8-max", "qwen3.8-flash", "qwen-plus", "qwen3-coder-plus", "glm-5.1", "kimi-k3",
        "MiniMax-M2.5", "unheard-of"];
    private static readonly HashSet<string> None = [];

    [Fact]
    public void AllRulesOff_IsIdentity()
    {
        HashSet<string> all = [.. QuirkRules.All.Select(r => r.Id)];
        ForEachCase((request, profile, model, wish, _) =>
        {
            List<string> applied = [];
            Assert.Same(request, QuirkRules.Apply(request, profile, model, wish, all, applied));
            Assert.Empty(applied);
        });
    }

    [Fact]
    public void ApplyingTwice_IsApplyingOnce() => ForEachCase((request, profile, model, wish, text) =>
    {
        ChatRequest once = QuirkRules.Apply(request, profile, model, wish, None, []);
        List<string> again = [];
        ChatRequest twice = QuirkRules.Apply(once, profile, model, wish, None, again);
        Assert.True(ReferenceEquals(once, twice),
            $"{profile} {model}: {string.Join(' ', again)} changed it again.\n{text}\n{Text(once)}\n{Text(twice)}");
    });

    [Fact]
    public void Result_IsJsonAndTellsItsRules()
    {
        HashSet<string> seen = [];
        ForEachCase((request, profile, model, wish, _) =>
        {
            List<string> applied = [];
            ChatRequest changed = QuirkRules.Apply(request, profile, model, wish, None, applied);
            using JsonDocument document = JsonDocument.Parse(changed.Body);
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
            Assert.Equal(applied.Count == 0, ReferenceEquals(changed, request));
            Assert.Equal(applied.Count, applied.Distinct().Count());
            Assert.Equal(request.Model, changed.Model);
            seen.UnionWith(applied);
        });

        // Chance has met every rule but the one that no shipped profile uses yet.
        Assert.Equal(QuirkRules.All.Select(r => r.Id).Where(id => id != "unsupported-fields").Order(), seen.Order());
    }

    [Fact]
    public void UnknownFields_SurviveByteForByte()
    {
        Random random = new(11);
        for (int i = 0; i < Cases; i++)
        {
            RandomRequest maker = new(random);
            string text = maker.Next(clean: true);
            string[] unknown = [.. maker.Unknown];
            text = text.Replace("\"model\":\"m\"",
                "\"model\":\"m\",\"max_completion_tokens\":99999999,\"enable_thinking\":false,\"cache_control\":1", StringComparison.Ordinal);
            (UpstreamProfile profile, string model) = (Profiles.All[i % Profiles.All.Length], Models[random.Next(Models.Length)]);
            string body = Text(QuirkRules.Apply(Parse(text), profile, model, null, None, []));
            Assert.All(unknown, member => Assert.Contains(member, body, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void CleanRequest_PassesAsTheSameInstance()
    {
        Random random = new(12);
        foreach (UpstreamProfile profile in Profiles.All.Where(p => !p.WantsSystemFirstAndPlainText))
        {
            for (int i = 0; i < 300; i++)
            {
                ChatRequest request = Parse(new RandomRequest(random).Next(clean: true));
                Assert.Same(request, QuirkRules.Apply(request, profile, Models[random.Next(Models.Length)], null, None, []));
            }
        }
    }

    [Fact]
    public void BrokenInside_NeverThrows()
    {
        Random random = new(13);
        for (int i = 0; i < Cases; i++)
        {
            char[] text = new RandomRequest(random).Next().ToCharArray();
            for (int hits = random.Next(1, 4); hits > 0; hits--) text[random.Next(text.Length)] = "{}[]\",:\\x1"[random.Next(10)];
            if (!ChatRequest.TryParse(Encoding.UTF8.GetBytes(text), out ChatRequest request, out _)) continue;
            List<string> applied = [];
            ChatRequest changed = QuirkRules.Apply(request, Profiles.All[i % Profiles.All.Length], Models[random.Next(Models.Length)], null, None,
                applied);
            Assert.Equal(applied.Count == 0, ReferenceEquals(changed, request));
        }
    }

    private static void ForEachCase(Action<ChatRequest, UpstreamProfile, string, ThinkingWish?, string> check)
    {
        Random random = new(10);
        for (int i = 0; i < Cases; i++)
        {
            string text = new RandomRequest(random).Next();
            ChatRequest request = Parse(text);
            request.JoinsTexts = i % 3 == 0;
            check(request, Profiles.All[i % Profiles.All.Length], Models[random.Next(Models.Length)], Wish(random), text);
        }
    }

    private static ThinkingWish? Wish(Random random)
    {
        if (random.Next(2) == 0) return null;
        bool? enabled = random.Next(3) switch { 0 => null, 1 => true, _ => false };
        string?[] efforts = [null, null, "none", "low", "high", "max", "odd"];
        return new ThinkingWish(enabled, random.Next(2) == 0 ? null : 1024, efforts[random.Next(efforts.Length)]);
    }

    private static ChatRequest Parse(string text)
    {
        Assert.True(ChatRequest.TryParse(Encoding.UTF8.GetBytes(text), out ChatRequest request, out string fault), fault);
        return request;
    }

    private static string Text(ChatRequest request) => Encoding.UTF8.GetString(request.Body.Span);
}
