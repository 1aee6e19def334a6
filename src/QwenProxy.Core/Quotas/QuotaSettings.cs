using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Core.Quotas;

/// <summary>Who asks, as far as it decides whether a part that is kept is for him, and how many tokens his prompt has by estimate.</summary>
public readonly record struct QuotaClaim(string Client, int Priority, long Tokens);

/// <summary>A part of every window that is kept for some: the clients named, and those whose priority number is at most this.</summary>
public sealed record QuotaReserve(int Percent, ImmutableArray<string> Clients, int? Priority)
{
    public bool IsFor(QuotaClaim claim) => Clients.Contains(claim.Client) || claim.Priority <= Priority;

    /// <summary>For whom, in words.</summary>
    public string Whom => string.Join(" and ", ((string[])
    [
        .. Clients.IsEmpty ? Array.Empty<string>() : [string.Join(", ", Clients)],
        .. Priority is { } number ? [$"clients of priority {number} or before"] : Array.Empty<string>(),
    ]));
}

/// <summary>What is known of an account's quota from the catalogue and the configuration.</summary>
public sealed record QuotaSettings
{
    public static QuotaSettings None { get; } = new();

    /// <summary>Null while nobody says which it is.</summary>
    public string? Plan { get; init; }

    public ImmutableArray<QuotaRule> Windows { get; init; } = [];

    public QuotaReserve? Reserve { get; init; }

    /// <summary>Who says what the windows are, and since when; null where the user wrote them or there are none.</summary>
    public string? Source { get; init; }

    public DateOnly? AsOf { get; init; }

    /// <summary>What is known of an account of which nothing was written.</summary>
    public static QuotaSettings Of(UpstreamProfile profile) => profile is not null && QuotaPlans.Find(profile.Name) is { } plan ? Of(plan) : None;

    public static QuotaSettings Of(QuotaPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return new QuotaSettings { Plan = plan.Name.Length == 0 ? null : plan.Name, Windows = plan.Windows, Source = plan.Source, AsOf = plan.AsOf };
    }
}

/// <summary>How much of a window a call takes.</summary>
internal static class QuotaAmount
{
    private const decimal Million = 1_000_000;

    public static decimal Of(QuotaRule rule, string model, TokenCounts tokens)
    {
        if (rule.Counts == QuotaUnit.Requests) return 1;
        if (rule.Counts == QuotaUnit.Tokens) return tokens.Input + tokens.Output;
        if (rule.Rates.FirstOrDefault(r => ModelPattern.Matches(r.Models, model)) is not { } rate) return 0;
        long cached = Math.Min(tokens.Cached, tokens.Input);
        return (((tokens.Input - cached) * rate.Input) + (cached * (rate.Cached ?? rate.Input)) + (tokens.Output * rate.Output)) / Million;
    }
}
