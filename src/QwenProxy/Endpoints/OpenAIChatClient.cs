using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Proxying;

namespace QwenProxy.Endpoints;

/// <summary><c>POST /v1/chat/completions</c>: the dialect that is spliced, never rebuilt.</summary>
internal sealed class OpenAIChatClient : ClientDialect
{
    public override string Name => "openai.chat";

    public override IncomingRequest? Parse(Exchange exchange, out ProxyError? fault)
    {
        fault = null;
        if (!ChatRequest.TryParse(exchange.Body.Memory, out ChatRequest chat, out string problem))
        {
            fault = OwnErrors.InvalidRequest(problem);
            return null;
        }

        return new IncomingRequest(chat, chat.Stream, output => chat.Stream ? new ChatStreamAnswer(output, chat.UsageAsked) : new ChatWholeAnswer(output))
        {
            Thinking = ThinkingPolicies.WishOf(exchange.Snapshot.Models.ThinkingOf(chat.Model)),
            Query = exchange.Http.Request.QueryString.Value ?? "",
        };
    }

    public override byte[] WriteError(ProxyError error) => OpenAIErrors.Write(error);
}
