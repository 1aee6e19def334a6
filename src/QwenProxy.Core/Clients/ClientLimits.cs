using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Clients;

/// <summary>How much one client may take; null or empty is no limit.</summary>
public sealed record ClientLimits
{
    public static ClientLimits None { get; } = new();

    /// <summary>Names or patterns of the models it may ask for.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>When its key ends.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Requests that may begin within any 60 seconds.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Requests that may run at once.</summary>
    public int? Concurrent { get; init; }

    /// <summary>Input and output tokens of one calendar day.</summary>
    public long? TokensPerDay { get; init; }

    /// <summary>US dollars at list prices of one calendar month.</summary>
    public decimal? UsdPerMonth { get; init; }

    /// <summary>Who is taken first in a round of waiting clients: the lower number. It never gives a client more turns than another.</summary>
    public int Priority { get; init; }

    public bool Counts => RequestsPerMinute is not null || Concurrent is not null || TokensPerDay is not null || UsdPerMonth is not null;

    /// <summary>Either name is enough: the one the client wrote, or the model it stands for.</summary>
    public bool Allows(string asked, string model) => Models.IsEmpty || ModelPattern.MatchesAny(Models, asked) || ModelPattern.MatchesAny(Models, model);
}

/// <summary>Whose key a request shows.</summary>
public sealed record Client(string Name, ClientLimits Limits);
