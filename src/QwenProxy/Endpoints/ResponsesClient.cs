using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Observability;
using QwenProxy.Proxying;

namespace QwenProxy.Endpoints;

/// <summary><c>/v1/responses</c>: OpenAI's Responses, translated to the middle and back, with a bounded memory for what clients refer to.</summary>
internal sealed class ResponsesClient(IdSource ids, TimeProvider time) : ClientDialect
{
    private readonly ResponsesStore _store = new();

    public override string Name => "openai.responses";

    public override IncomingRequest? Parse(Exchange exchange, out ProxyError? fault)
    {
        string client = exchange.ClientName ?? "";
        if (!ResponsesRequestParser.TryTranslate(exchange.Body.Memory, _store.Of(client), out ResponsesRequest? request, out fault)) return null;
        if (!ChatRequest.TryParse(request.ChatBody, out ChatRequest chat, out string problem))
        {
            fault = OwnErrors.InvalidRequest(problem);
            return null;
        }

        ThinkingPolicy policy = exchange.Snapshot.Models.ThinkingOf(request.Model);
        NativeRequest? native = NativeResponses.Of(exchange.Body.Memory, request, out string whyNot);
        ResponsesAnswerOptions answer = new() { Request = request, NewId = () => ids.Next(""), Clock = time, Store = _store, Client = client };
        return new IncomingRequest(chat, request.Stream, output => request.Stream ? new ResponsesStreamAnswer(output, answer) : new ResponsesWholeAnswer(output, answer))
        {
            Native = native,
            Thinking = ThinkingPolicies.WishOf(policy),
            Notes = [.. request.Dropped.Select(d => "dropped " + d), .. whyNot.Length > 0 ? ["not native: " + whyNot] : Array.Empty<string>()],
        };
    }

    /// <summary>Codex compacts its history and goes on when it reads <c>context_length_exceeded</c> in <c>response.failed</c>; a 400 ends its session.</summary>
    public override bool IsSaidInStream(ProxyError error) => error.Kind == FaultKind.ContextTooLong;

    public override byte[] WriteError(ProxyError error) => ResponsesErrors.Write(error);

    /// <summary><c>GET</c> and <c>DELETE /v1/responses/{id}</c>: what is still remembered.</summary>
    public async Task<ProxyError?> StoredAsync(Exchange exchange, string id)
    {
        string client = exchange.ClientName ?? "";
        ReadOnlyMemory<byte> body;
        if (HttpMethods.IsDelete(exchange.Http.Request.Method))
        {
            if (!_store.Remove(client, id)) return ResponsesStore.NotFound(id);
            body = ResponsesStore.DeletedBody(id);
        }
        else if (!_store.TryGetResponse(client, id, out body)) return ResponsesStore.NotFound(id);

        HttpResponse response = exchange.Http.Response;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, exchange.Token);
        return null;
    }
}
