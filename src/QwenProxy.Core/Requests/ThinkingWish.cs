namespace QwenProxy.Core.Requests;

/// <summary>What a client of another dialect wants of the model's thinking; the upstream's profile turns it into its own fields.</summary>
/// <param name="Enabled">True or false when the client said so; null leaves it to the model's default.</param>
/// <param name="BudgetTokens">At most so many tokens of thinking; null for no limit of the client's.</param>
/// <param name="Effort">The client's word (<c>none</c>, <c>low</c> … <c>max</c>); null when it gave none.</param>
public readonly record struct ThinkingWish(bool? Enabled, int? BudgetTokens, string? Effort);
