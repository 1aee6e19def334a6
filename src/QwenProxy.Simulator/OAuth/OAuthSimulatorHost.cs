using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace QwenProxy.Simulator.OAuth;

/// <summary>
/// The OAuth server alone, on a free loopback port, with one protected path (<c>GET /v1/whoami</c>) that takes or refuses a bearer as the service
/// does.
/// </summary>
public sealed class OAuthSimulatorHost : IAsyncDisposable
{
    private readonly WebApplication _application;

    private OAuthSimulatorHost(WebApplication application, OAuthSimulator state, Uri baseUrl)
    {
        _application = application;
        State = state;
        BaseUrl = baseUrl;
    }

    public OAuthSimulator State { get; }

    /// <summary>E.g. <c>http://127.0.0.1:41234/</c>.</summary>
    public Uri BaseUrl { get; }

    public static async Task<OAuthSimulatorHost> StartAsync(OAuthSimulator state, TimeProvider time, CancellationToken stop)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddRoutingCore();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication application = builder.Build();
        OAuthSimulatorEndpoints.Map(application, state, time);
        application.MapGet("/v1/whoami", (RequestDelegate)(context => WhoAmIAsync(context, state)));
        await application.StartAsync(stop);
        string address = application.Urls.First();
        Uri baseUrl = new(address);
        state.BaseUrl = baseUrl;
        state.Options.ResourceUrl ??= address;
        return new OAuthSimulatorHost(application, state, baseUrl);
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private static Task WhoAmIAsync(HttpContext context, OAuthSimulator state)
    {
        string authorization = context.Request.Headers.Authorization.ToString();
        if (authorization.StartsWith("Bearer ", StringComparison.Ordinal) && state.Accepts(authorization["Bearer ".Length..]))
        {
            return context.Response.WriteAsync("ok", context.RequestAborted);
        }

        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(
            """
            {"error":{"code":"invalid_api_key","message":"invalid access token or token expired","param":null,
            "type":"invalid_request_error"},"request_id":"sim"}
            """,
            context.RequestAborted);
    }
}
