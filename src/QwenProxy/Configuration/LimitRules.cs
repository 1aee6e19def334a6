namespace QwenProxy.Configuration;

/// <summary>How the limits of a client are written, in a file and behind a command.</summary>
internal static class LimitRules
{
    public static ValueRule<int> RequestsPerMinute { get; } = ValueRules.Integer(1, 1_000_000);

    public static ValueRule<int> Concurrent { get; } = ValueRules.Integer(1, 1_000_000);

    public static ValueRule<long> TokensPerDay { get; } = ValueRules.Long(1, 1_000_000_000_000_000);

    public static ValueRule<decimal> UsdPerMonth { get; } = ValueRules.Dollars;

    public static ValueRule<int> Priority { get; } = ValueRules.Integer(-1000, 1000);
}
