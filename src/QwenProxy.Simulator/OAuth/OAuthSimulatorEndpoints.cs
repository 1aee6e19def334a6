using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace QwenProxy.Simulator.OAuth;

/// <summary>The simulated OAuth server as endpoints that fit into any web application.</summary>
public static class OAuthSimulatorEndpoints
{
    public const string DevicePath = "/api/v1/oauth2/device/code";
    public const string TokenPath = "/api/v1/oauth2/token";

    /// <summary>
    /// Adds the device and token endpoints, and the page where the person confirms (opening the complete link is the confirmation).
    /// </summary>
    public static void Map(IEndpointRouteBuilder routes, OAuthSimulator state, TimeProvider time)
    {
        routes.MapPost(DevicePath, (RequestDelegate)(context => HandleAsync(context, state, time, deviceEndpoint: true)));
        routes.MapPost(TokenPath, (RequestDelegate)(context => HandleAsync(context, state, time, deviceEndpoint: false)));
        routes.MapGet("/authorize", (RequestDelegate)(context => ConfirmAsync(context, state)));
    }

    /// <summary>The same routes where there is no routing; null when the request is none of theirs.</summary>
    public static Task? Find(HttpContext context, OAuthSimulator state, TimeProvider time) => (context.Request.Method, context.Request.Path.Value) switch
    {
        ("POST", DevicePath) => HandleAsync(context, state, time, deviceEndpoint: true),
        ("POST", TokenPath) => HandleAsync(context, state, time, deviceEndpoint: false),
        ("GET", "/authorize") => ConfirmAsync(context, state),
        _ => null,
    };

    private static async Task HandleAsync(HttpContext context, OAuthSimulator state, TimeProvider time, bool deviceEndpoint)
    {
        if (!context.Request.HasFormContentType)
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        IFormCollection form = await context.Request.ReadFormAsync(context.RequestAborted);
        OAuthAnswer answer = state.Answer(deviceEndpoint, form.ToDictionary(f => f.Key, f => f.Value.ToString(), StringComparer.Ordinal));
        if (answer.Hangs)
        {
            await HangAsync(context.RequestAborted);
            return;
        }

        if (answer.Delay > TimeSpan.Zero) await Task.Delay(answer.Delay, time, context.RequestAborted);
        if (answer.Resets)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = answer.Status;
        context.Response.ContentType = answer.ContentType;
        context.Response.Headers.Date = state.Now.ToString("R", CultureInfo.InvariantCulture);
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(answer.Body), context.RequestAborted);
    }

    private static async Task HangAsync(CancellationToken aborted)
    {
        TaskCompletionSource hungUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration = aborted.Register(hungUp.SetResult);
        await hungUp.Task;
    }

    private static async Task ConfirmAsync(HttpContext context, OAuthSimulator state)
    {
        bool known = state.Confirm(context.Request.Query["user_code"].ToString());
        context.Response.StatusCode = known ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
        context.Response.ContentType = "text/plain; charset=utf-8";
        await context.Response.WriteAsync(known ? "Signed in. You may close this page.\n" : "No such code.\n", context.RequestAborted);
    }
}
