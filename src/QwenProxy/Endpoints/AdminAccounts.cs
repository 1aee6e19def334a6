using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>POST /admin/accounts/NAME/isolate</c>, <c>…/resume</c>, <c>…/reset</c> and <c>…/probe</c>. A probe is a real request for a few tokens, whatever holds the
/// account back: nothing less proves that it serves. An account that answers is forgiven what was held against it; one that does not is as it was.
/// </summary>
internal sealed partial class AdminAccounts(CurrentConfiguration configuration, Router router, ModelDirectory directory, UpstreamAccess upstreams, Instruments instruments)
{
    private const string Question = "\"stream\":true,\"max_tokens\":16,\"messages\":[{\"role\":\"user\",\"content\":\"Answer with the word yes.\"}]}";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <returns>What to answer; null when the command was carried out and the status is the answer.</returns>
    public async Task<AdminAnswer?> RunAsync(HttpContext http, string name, string command, string who)
    {
        if (configuration.Snapshot.Accounts.FirstOrDefault(a => a.Name == name) is not { } account)
            return OwnErrors.InvalidRequest($"There is no account '{name}'. GET /admin/status lists them.") with { Status = 404 };
        switch (command)
        {
            case "isolate":
                router.Pool.Isolate(name);
                break;
            case "resume":
                router.Pool.Isolate(name, isolated: false);
                break;
            case "reset":
                router.Reset(name);
                break;
            case "probe":
                (JsonElement? body, ProxyError? fault) = await AdminBody.ReadAsync(http, needed: false);
                if (fault is not null) return fault;
                LogCommand(instruments.Logger, name, command, who);
                return await ProbeAsync(http, account, body is { } sent ? AdminBody.Text(sent, "model") : "");
            default:
                return OwnErrors.InvalidRequest("An account can be sent the commands isolate, resume, reset and probe.") with { Status = 404 };
        }

        LogCommand(instruments.Logger, name, command, who);
        return null;
    }

    private async Task<AdminAnswer> ProbeAsync(HttpContext http, AccountSnapshot account, string model)
    {
        ProxySnapshot snapshot = configuration.Snapshot;
        CancellationToken stop = http.RequestAborted;
        if (model.Length == 0) model = await AnyModelAsync(account, snapshot, stop);
        if (model.Length == 0) return OwnErrors.InvalidRequest($"No model of account '{account.Name}' is known. Name one: {{\"model\":\"…\"}}.", "model");
        long began = instruments.Time.GetTimestamp();
        Authorization authorization = await upstreams.Authorizer.AuthorizeAsync(account, stop);
        ProxyError? error = authorization.Error ?? await AskAsync(http, account, model, authorization, stop);
        if (error is null) router.Reset(account.Name, keepIsolated: true);
        else error = HeldSecrets.Of(snapshot).And(authorization.Token).Hide(error);
        double took = Math.Round(instruments.Time.GetElapsedTime(began).TotalMilliseconds);
        return AdminAnswer.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("account", account.Name);
            json.WriteString("model", model);
            json.WriteBoolean("answered", error is null);
            json.WriteNumber("tookMs", took);
            if (error is not null)
            {
                json.WriteNumber("status", error.Status);
                json.WriteString("end", ErrorSummary.Snake(error.Kind));
                json.WriteString("reason", PrintableText.Of(error.Message, 600));
                if (error.Fix is { } fix) json.WriteString("fix", fix);
            }

            json.WriteEndObject();
        });
    }

    private async Task<string> AnyModelAsync(AccountSnapshot account, ProxySnapshot snapshot, CancellationToken stop)
    {
        if (account.Models.FirstOrDefault(m => !m.Contains('*', StringComparison.Ordinal)) is { } named) return named;
        return (await directory.ListAsync(account, snapshot, stop)).FirstOrDefault(m => !m.Id.Contains('*', StringComparison.Ordinal))?.Id ?? "";
    }

    private async Task<ProxyError?> AskAsync(HttpContext http, AccountSnapshot account, string model, Authorization authorization, CancellationToken stop)
    {
        byte[] body = [.. "{\"model\":"u8, .. JsonText.Quote(model), .. System.Text.Encoding.UTF8.GetBytes("," + Question)];
        if (!ChatRequest.TryParse(body, out ChatRequest chat, out string fault)) return OwnErrors.InvalidRequest(fault);
        AttemptTarget target = new(account, new NextStep.Ask(account.Name, model, TimeSpan.Zero, AnotherCouldServe: false), authorization.BaseUrl!, authorization.Token);
        UpstreamCall call = new(upstreams, new CallContext(instruments.Ids.Next("req_"), model, configuration.Snapshot, http.Request, instruments));
        AttemptOutcome<UpstreamStream> outcome = await call.SendAsync(target, UpstreamRequest.Chat(target, chat, ""), s_patience, stop);
        outcome.Answer?.Dispose();
        return outcome.Error;
    }

    [LoggerMessage(EventId = 79, Level = LogLevel.Information, Message = "Account {account}: {command} by {who}")]
    private static partial void LogCommand(ILogger logger, string account, string command, string who);
}
