using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

/// <summary>Thirty days of fake time: tokens of an hour, three clients, faults by a seed.</summary>
public sealed class SignInSoakTests
{
    private static readonly OAuthFault[] s_faults =
    [
        OAuthFault.Html, OAuthFault.BadGateway, OAuthFault.ServerError, OAuthFault.RateLimited, OAuthFault.Reset,
        OAuthFault.NullToken, OAuthFault.TornJson, OAuthFault.ErrorUnder200, OAuthFault.Hung, OAuthFault.Slow(TimeSpan.FromSeconds(7)),
    ];

    /// <summary>
    /// Outages are at most two minutes and begin at any time, also in the middle of a refresh: shorter than the lead window, so a valid path
    /// always exists and no client may ever see an error. Each hour-long token is replaced once: 720 times in 30 days, or a few more, as each is
    /// replaced up to five minutes early.
    /// </summary>
    [Fact]
    public void ThirtyDays_NoClientErrorAndOneRefreshPerExpiry()
    {
        const int Seed = 1;
        using SignInWorld world = new();
        Random chance = new(Seed);
        world.SignIn(3600);
        int asked = 0;
        int reached = 0;
        List<DateTimeOffset> grants = [world.Clock.GetUtcNow()];
        world.Server.RefreshDecided = _ =>
        {
            if (world.Server.RefreshesGranted == grants.Count) grants.Add(world.Clock.GetUtcNow());
        };
        world.Run(async () =>
        {
            TokenBroker broker = world.Broker();
            DateTimeOffset end = world.Clock.GetUtcNow().AddDays(30);
            Task outages = OutagesAsync(world, chance, end);
            Task[] clients = [.. Enumerable.Range(0, 3).Select(_ => ClientAsync())];
            await Task.WhenAll([outages, .. clients]);
            await broker.DisposeAsync();

            async Task ClientAsync()
            {
                while (world.Clock.GetUtcNow() < end)
                {
                    string token = await SignInWorld.TokenAsync(broker);
                    asked++;
                    if (world.Server.Accepts(token)) reached++;
                    else if (await broker.RecoverAsync(token, AuthFailure.Refused, CancellationToken.None)
                        && world.Server.Accepts(await SignInWorld.TokenAsync(broker))) reached++;
                    await world.PassAsync(40 + (120 * chance.NextDouble()));
                }
            }
        });

        Assert.True(asked > 70_000, $"only {asked} requests");
        Assert.Equal(asked, reached);
        Assert.Equal(0, world.Server.RefreshTokensReused);

        // One refresh per expiry: every token served until its last five minutes, and was then replaced exactly once.
        Assert.Equal(world.Server.RefreshesGranted, grants.Count - 1);
        Assert.InRange(world.Server.RefreshesGranted, 720, 786);
        Assert.All(grants.Zip(grants.Skip(1), (a, b) => (b - a).TotalMinutes), life => Assert.InRange(life, 54.9, 60.1));
        TestContext.Current.SendDiagnosticMessage(
            "30 days, seed {0}: {1} requests, {2} failed, {3} refreshes granted of {4} asked",
            Seed, asked, asked - reached, world.Server.RefreshesGranted, world.Server.RefreshCalls);
    }

    private static async Task OutagesAsync(SignInWorld world, Random chance, DateTimeOffset end)
    {
        while (world.Clock.GetUtcNow() < end)
        {
            await world.PassAsync(60 + (1800 * chance.NextDouble()));
            world.Server.Stand(OAuthCall.Refresh, s_faults[chance.Next(s_faults.Length)]);
            await world.PassAsync(120 * chance.NextDouble());
            world.Server.Stand(OAuthCall.Refresh, null);
        }
    }
}
