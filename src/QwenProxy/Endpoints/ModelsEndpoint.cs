using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Observability;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Wire;

namespace QwenProxy.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>/v1/models/{id}</c>, in OpenAI's shape with sizes added, or in Anthropic's for clients that send <c>anthropic-version</c>.</summary>
internal sealed class ModelsEndpoint(CurrentConfiguration configuration, DrainState drain, ModelDirectory directory, IdSource ids, TimeProvider time)
{
    public async Task RunAsync(HttpContext http, string rest)
    {
        ProxySnapshot snapshot = configuration.Snapshot;
        string requestId = ids.Next("req_");
        http.Response.Headers["x-request-id"] = requestId;
        bool anthropic = http.Request.Headers.ContainsKey("anthropic-version");
        if (anthropic) http.Response.Headers[MessagesClient.RequestId] = requestId;
        if (drain.IsDraining)
        {
            ProxyError draining = OwnErrors.Draining(TimeSpan.FromSeconds(5));
            http.Response.Headers.RetryAfter = "5";
            await WriteErrorAsync(http, draining, anthropic);
            return;
        }

        if (!ClientKeys.TryIdentify(http.Request, snapshot, time.GetUtcNow(), out Client? client))
        {
            await WriteErrorAsync(http, OwnErrors.InvalidApiKey(), anthropic);
            return;
        }

        IReadOnlyList<OfferedModel> models = await directory.ListAsync(snapshot, http.RequestAborted);
        if (client is { Limits: { Models.IsEmpty: false } limits }) models = [.. models.Where(m => limits.Allows(m.Id, m.AliasOf ?? m.Id))];
        if (rest is "" or "/")
        {
            await WriteAsync(http, 200, anthropic ? WriteAnthropicList(http.Request, models) : WriteList(models));
            return;
        }

        // Ids may hold slashes (qwen/qwen3.7-max), so the rest of the path is the id.
        string id = Uri.UnescapeDataString(rest[1..]);
        OfferedModel? found = models.FirstOrDefault(m => m.Id == id);
        if (found is null) await WriteErrorAsync(http, OwnErrors.ModelNotFound(id), anthropic);
        else await WriteAsync(http, 200, anthropic ? MessagesModels.WriteOne(ForAnthropic(found)) : WriteOne(found));
    }

    private static byte[] WriteAnthropicList(HttpRequest request, IReadOnlyList<OfferedModel> models)
    {
        int? limit = int.TryParse(request.Query["limit"], CultureInfo.InvariantCulture, out int asked) ? asked : null;
        return MessagesModels.WriteList([.. models.Select(ForAnthropic)], limit, One(request, "after_id"), One(request, "before_id"));
    }

    private static string? One(HttpRequest request, string name) => request.Query[name].ToString() is { Length: > 0 } value ? value : null;

    private static MessagesModel ForAnthropic(OfferedModel model) => new(
        model.Id,
        model.Id,
        model.Created > 0 ? DateTimeOffset.FromUnixTimeSeconds(model.Created) : null,
        model.ContextTokens > 0 ? model.ContextTokens : null,
        model.MaxOutputTokens > 0 ? model.MaxOutputTokens : null);

    private static Task WriteErrorAsync(HttpContext http, ProxyError error, bool anthropic) =>
        WriteAsync(http, error.Status, anthropic ? MessagesErrors.Write(error) : OpenAIErrors.Write(error));

    private static byte[] WriteList(IReadOnlyList<OfferedModel> models)
    {
        using PooledBytes json = new(4096);
        json.Write("{\"object\":\"list\",\"data\":["u8);
        for (int i = 0; i < models.Count; i++)
        {
            if (i > 0) json.Write(","u8);
            json.Write(WriteOne(models[i]));
        }

        json.Write("]}"u8);
        return json.Span.ToArray();
    }

    /// <summary>Upstream's own object with what is missing added at its end; a made one where upstream sent none.</summary>
    private static byte[] WriteOne(OfferedModel model)
    {
        using PooledBytes json = new(256);
        HashSet<string> has = new(StringComparer.Ordinal);
        if (model.UpstreamObject.IsEmpty)
        {
            json.Write("{\"id\":"u8);
            JsonText.WriteString(Encoding.UTF8.GetBytes(model.Id), json);
        }
        else
        {
            JsonScanner members = new(model.UpstreamObject.Span);
            while (members.MoveNext()) has.Add(Encoding.UTF8.GetString(model.UpstreamObject.Span[(members.Name.Start + 1)..(members.Name.End - 1)]));
            json.Write(model.UpstreamObject.Span.TrimEnd(" \t\r\n"u8)[..^1]);
        }

        Add("object", "\"model\"");
        Add("created", model.Created.ToString(CultureInfo.InvariantCulture));
        Add("owned_by", JsonEncodedText.Encode(model.AliasOf is null ? model.Account : "alias") is var owner ? $"\"{owner}\"" : "");
        if (model.ContextTokens > 0) Add("context_length", model.ContextTokens.ToString(CultureInfo.InvariantCulture));
        if (model.MaxOutputTokens > 0) Add("max_output_tokens", model.MaxOutputTokens.ToString(CultureInfo.InvariantCulture));
        json.Write("}"u8);
        return json.Span.ToArray();

        void Add(string name, string value)
        {
            if (!has.Contains(name)) json.Write(Encoding.UTF8.GetBytes($",\"{name}\":{value}"));
        }
    }

    private static async Task WriteAsync(HttpContext http, int status, byte[] body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
