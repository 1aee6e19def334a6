using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>What a request does next.</summary>
public abstract record NextStep
{
    private NextStep()
    {
    }

    /// <summary>Wait, then ask this account for this model. The wait is already on the request's account.</summary>
    /// <param name="Account">Whom to ask.</param>
    /// <param name="Model">For which model.</param>
    /// <param name="Delay">How long to wait before; zero for at once.</param>
    /// <param name="AnotherCouldServe">Somebody else is left to go to: decides the first-token deadline.</param>
    public sealed record Ask(string Account, string Model, TimeSpan Delay, bool AnotherCouldServe) : NextStep
    {
        /// <summary>Nobody can serve but those that said no, or whose quota seems used up: one of them is asked all the same.</summary>
        public bool IsLastResort { get; init; }
    }

    /// <summary>Wait until one of these accounts has a free slot, then decide anew.</summary>
    public sealed record AwaitSlot(IReadOnlyList<string> Accounts) : NextStep;

    /// <summary>Tell the client.</summary>
    public sealed record GiveUp(ProxyError Error) : NextStep;
}
