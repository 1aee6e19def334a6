using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Tests.Accounts;

public sealed class RouteTableTests
{
    [Fact]
    public void AccountWithoutList_TakesOnlyModelsNobodyElseNames()
    {
        RouteTable table = Table([Make("local", "qwen3.6-27b"), Make("open")]);
        Assert.Equal(["local"], Names(table, "qwen3.6-27b"));
        Assert.Equal(["open"], Names(table, "qwen3.7-max"));
    }

    [Fact]
    public void AccountEnv_AcceptsAnyModel()
    {
        RouteTable table = Table([Make("local", "a"), Make("env") with { AcceptsAnyModel = true, Priority = 5 }]);
        Assert.Equal(["local", "env"], Names(table, "a"));
        Assert.Equal(["env"], Names(table, "whatever"));
    }

    [Fact]
    public void ModelNobodyServes_GivesAnEmptyPlan() => Assert.True(Table([Make("local", "a")]).Resolve("b").IsEmpty);

    [Fact]
    public void AccountSlashModel_PinsTheAccountWithinItsList()
    {
        RouteTable table = Table([Make("a", "m"), Make("b")]);
        Assert.Equal("b/m", Show(table.Resolve("b/m")));
        Assert.Equal("a/m", Show(table.Resolve("a/m")));
        Assert.True(table.Resolve("a/other").IsEmpty);
        Assert.Equal("b/nobody/m", Show(table.Resolve("nobody/m")));
    }

    [Fact]
    public void ModelWithASlashThatAnAccountNames_StaysWhole()
    {
        RouteTable table = Table([Make("qwen"), Make("router", "qwen/qwen3.7-max")]);
        Assert.Equal("router/qwen/qwen3.7-max", Show(table.Resolve("qwen/qwen3.7-max")));
    }

    [Fact]
    public void Aliases_FirstMatchWinsWithStars()
    {
        RouteTable table = Table([Make("a")], aliases: [new("gpt-4o", "plus"), new("claude-*-mini", "flash"), new("claude-*", "max"), new("pin", "a/x")]);
        Assert.Equal("plus", table.Resolve("gpt-4o").Model);
        Assert.Equal("flash", table.Resolve("claude-4-mini").Model);
        Assert.Equal("max", table.Resolve("claude-sonnet").Model);
        Assert.Equal("gpt-4o-mini", table.Resolve("gpt-4o-mini").Model);
        Assert.Equal("a/x", Show(table.Resolve("pin")));
    }

    [Fact]
    public void Fallbacks_FollowInOrderWithoutRepeatsAndMayNameAnAccount()
    {
        RouteTable table = Table([Make("a", "m", "n"), Make("b")], fallbacks: new() { ["m"] = ["n", "m", "b/big", "a/nothing"] });
        Assert.Equal("a/m a/n b/big", Show(table.Resolve("m")));
        Assert.Equal("a/m a/n b/big", Show(Table([Make("a", "m", "n"), Make("b")], [new("x", "m")], new() { ["x"] = ["n", "big"] }).Resolve("x")));
    }

    [Fact]
    public void Accounts_ComeByPriority() =>
        Assert.Equal(["b", "c", "a"], Names(Table([Make("a") with { Priority = 9 }, Make("b") with { Priority = 1 }, Make("c") with { Priority = 1 }]), "m"));

    private static AccountSnapshot Make(string name, params string[] models) =>
        new() { Name = name, Profile = new UpstreamProfile("generic"), Models = [.. models] };

    private static RouteTable Table(
        AccountSnapshot[] accounts, KeyValuePair<string, string>[]? aliases = null, Dictionary<string, ImmutableArray<string>>? fallbacks = null) =>
        new(accounts, [.. aliases ?? []], fallbacks ?? []);

    private static string[] Names(RouteTable table, string model) => [.. table.Resolve(model).Models[0].Accounts.Select(a => a.Name)];

    private static string Show(RoutePlan plan) => string.Join(' ', plan.Models.SelectMany(m => m.Accounts.Select(a => $"{a.Name}/{m.Model}")));
}
