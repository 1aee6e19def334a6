using System.Net.Http.Headers;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Core.Errors;

namespace QwenProxy.Credentials;

/// <summary>
/// Speaks to the OAuth server. Every call ends within 30 s and ends in a value: only the caller's own cancellation throws. The invoker must not
/// follow redirects, which would carry a refresh token to another host.
/// </summary>
internal sealed class OAuthClient(Uri baseUrl, HttpMessageInvoker http, TimeProvider time, Func<string> newId)
{
    public const string ClientId = "f0304373b74a44d2b584a3fb70ca9e56";

    public static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(30);

    private const string Scope = "openid profile email model.completion";
    private const int ReplyLimitBytes = 1024 * 1024;

    private readonly Uri _deviceUrl = new(baseUrl, "/api/v1/oauth2/device/code");
    private readonly Uri _tokenUrl = new(baseUrl, "/api/v1/oauth2/token");

    /// <summary>How far the server's clock was ahead of ours at its last reply (to a second); null before the first one with a date.</summary>
    public TimeSpan? ClockSkew { get; private set; }

    public string Host => baseUrl.Authority;

    /// <summary>Null with a reason when the server gives no code.</summary>
    public async Task<(DeviceCode? Device, string Reason)> RequestDeviceCodeAsync(Pkce pkce, CancellationToken stop)
    {
        Reply reply = await SendAsync(
            _deviceUrl,
            [new("client_id", ClientId), new("scope", Scope), new("code_challenge", pkce.Challenge), new("code_challenge_method", "S256")],
            stop);
        if (reply.Failure is { } failure) return (null, failure);
        DeviceCode? device = OAuthReplies.ReadDevice(reply.Status, reply.Body, out string reason);
        return (device, reason);
    }

    public async Task<OAuthReply> PollAsync(DeviceCode device, Pkce pkce, CancellationToken stop)
    {
        Reply reply = await SendAsync(
            _tokenUrl,
            [
                new("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), new("client_id", ClientId),
                new("device_code", device.Code), new("code_verifier", pkce.Verifier),
            ],
            stop);
        if (reply.Failure is { } failure) return OAuthReply.Transient(failure);
        return Quiet(OAuthReplies.ReadPoll(reply.Status, reply.Body), device.Code, pkce.Verifier);
    }

    public async Task<OAuthReply> RefreshAsync(Secret refreshToken, CancellationToken stop)
    {
        string token = refreshToken.Reveal();
        Reply reply = await SendAsync(
            _tokenUrl, [new("grant_type", "refresh_token"), new("refresh_token", token), new("client_id", ClientId)], stop);
        if (reply.Failure is { } failure) return OAuthReply.Transient(failure);
        return Quiet(OAuthReplies.ReadRefresh(reply.Status, reply.Body), token) with { RetryAfter = reply.RetryAfter };
    }

    private sealed record Reply(int Status, byte[] Body, TimeSpan? RetryAfter, string? Failure);

    /// <summary>A server may repeat what it was sent in its error text.</summary>
    private static OAuthReply Quiet(OAuthReply reply, params string[] secrets) => reply with { Reason = new SecretWords(secrets).Hide(reply.Reason) };

    private async Task<Reply> SendAsync(Uri url, KeyValuePair<string, string>[] form, CancellationToken stop)
    {
        using CancellationTokenSource timeout = new(CallTimeout, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        using HttpRequestMessage request = new(HttpMethod.Post, url) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("qwen-proxy", null));
        request.Headers.Add("x-request-id", newId());
        try
        {
            DateTimeOffset sent = time.GetUtcNow();
            using HttpResponseMessage response = await http.SendAsync(request, both.Token);
            if (response.Headers.Date is { } date) ClockSkew = date - (sent + ((time.GetUtcNow() - sent) / 2));
            byte[] body = await ReadBoundedAsync(response.Content, both.Token);
            return new Reply((int)response.StatusCode, body, RetryAfterOf(response), null);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return Failed($"{Host} did not answer within {CallTimeout.TotalSeconds:0} s");
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            return Failed($"{Host} cannot be reached: {OAuthReplies.Plain(fault.Message, 160)}");
        }
    }

    private static Reply Failed(string reason) => new(0, [], null, reason);

    private TimeSpan? RetryAfterOf(HttpResponseMessage response) =>
        response.Headers.RetryAfter is { } after ? after.Delta ?? (after.Date - time.GetUtcNow()) : null;

    private static async Task<byte[]> ReadBoundedAsync(HttpContent content, CancellationToken stop)
    {
        await using Stream stream = await content.ReadAsStreamAsync(stop);
        byte[] buffer = new byte[8192];
        using MemoryStream body = new();
        int read;
        while ((read = await stream.ReadAsync(buffer, stop)) > 0)
        {
            if (body.Length + read > ReplyLimitBytes) throw new IOException("the reply is larger than 1 MiB");
            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }
}
