using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;

namespace QwenProxy.SecondProgram;

/// <summary>
/// A program with a token broker of its own, so that tests can put two real processes on one credentials file.
/// Arguments: the file, the OAuth server, and what to do: <c>once</c> or <c>churn</c>.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        using SocketsHttpHandler handler = new() { AllowAutoRedirect = false, UseProxy = false };
        using HttpMessageInvoker http = new(handler);
        TokenBrokerOptions options = new() { AccountName = "second", CredentialsPath = arguments[0], OAuthBaseUrl = new Uri(arguments[1]) };
        return arguments[2] == "churn" ? await ChurnAsync(options, http) : await OnceAsync(options, http);
    }

    /// <summary>Takes a token, says so, waits for a line, uses the token as the proxy would, and says which status the client got.</summary>
    private static async Task<int> OnceAsync(TokenBrokerOptions options, HttpMessageInvoker http)
    {
        await using TokenBroker broker = NewBroker(options, http);
        AccessTokenResult first = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        await System.Console.Out.WriteLineAsync(first.Token is null ? first.Error!.Message : "ready");
        await System.Console.In.ReadLineAsync();
        HttpStatusCode status = await AskAsync(http, first);
        if (status == HttpStatusCode.Unauthorized && await broker.RecoverAsync(first.Token!.Reveal(), AuthFailure.Refused, CancellationToken.None))
        {
            status = await AskAsync(http, await broker.GetValidAccessTokenAsync(CancellationToken.None));
        }

        await System.Console.Out.WriteLineAsync($"{(int)status}");
        return 0;
    }

    /// <summary>Refreshes without end, each time as a program that has just been started.</summary>
    private static async Task<int> ChurnAsync(TokenBrokerOptions options, HttpMessageInvoker http)
    {
        while (true)
        {
            await using TokenBroker broker = NewBroker(options, http);
            AccessTokenResult token = await broker.GetValidAccessTokenAsync(CancellationToken.None);
            if (token.Token is null || !await broker.RecoverAsync(token.Token.Reveal(), AuthFailure.Refused, CancellationToken.None)) return 1;
        }
    }

    private static TokenBroker NewBroker(TokenBrokerOptions options, HttpMessageInvoker http) =>
        new(options, http, TimeProvider.System, new Random(), NullLogger.Instance);

    private static async Task<HttpStatusCode> AskAsync(HttpMessageInvoker http, AccessTokenResult token)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, token.BaseUrl + "/whoami");
        request.Headers.Authorization = new("Bearer", token.Token!.Reveal());
        using HttpResponseMessage response = await http.SendAsync(request, CancellationToken.None);
        return response.StatusCode;
    }
}
