using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Failures that do not look like one: status 200 with an error in it, a status of 400 with a stream for a body.</summary>
internal static class StreamErrorScenarios
{
    private const string Group = "odd framings";
    private static readonly string RateLimitedMessage = """{"type":"error","error":{"type":"invalid_request_error","message":"""
        + JsonBuilder.Quote("""{"code":"Throttling","message":"Too many requests"}""") + "}}";

    public static IEnumerable<Scenario> All =>
    [
        new("stream-error-dashscope", Group,
            "200, `events=` (0) events, then `event:error` with `:HTTP_STATUS/429`; `status=`, `code=`, `message=` change it")
        {
            Reply = c => Broken(c, 0, DashScopeFrame(c)),
        },
        new("stream-error-object", Group, "200, `events=` (3) events, then `data: {\"error\":…}`; `done=1` adds `[DONE]`")
        {
            Reply = c => Broken(c, 3, Data(ErrorObject(c)) + (c.Spec.Get("done") == "1" ? Data("[DONE]") : "")),
        },
        new("stream-error-vllm", Group, "200, `events=` (3) events, an error with a number for a code, then `[DONE]`")
        {
            Reply = c => Broken(c, 3,
                Data("""{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,"code":500}}""")
                + Data("[DONE]")),
        },
        new("stream-error-choice", Group,
            "200, `events=` (3) events, then a chunk with a top-level error and finish reason `error`, as OpenRouter does")
        {
            Reply = c => Broken(c, 3, Data("""{"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"m","""
                + "\"error\":{\"code\":502,\"message\":\"Provider disconnected unexpectedly\"},"
                + "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}")),
        },
        new("stream-error-bare", Group, "200, `events=` (3) events, then an error without a type, as LM Studio does")
        {
            Reply = c => Broken(c, 3, "event: error\n" + Data("""{"error":{"message":"Compute error."},"message":"Compute error."}""")),
        },
        new("stream-error-anthropic", Group,
            "200, `events=` (3) events, then `event: error` in Anthropic's shape, a rate limit called invalid_request_error")
        {
            Reply = c => Broken(c, 3, "event: error\n" + Data(RateLimitedMessage)),
        },
        new("stream-error-native", Group, "200, `events=` (3) events, then the dialect's own failure: `event: error`, `response.failed` or an error object; `message=`")
        {
            Reply = c => Broken(c, 3, OwnError(c)),
        },
        new("error-sse-body-400", Group, "status 400 with an event for a body")
        {
            Reply = c => ReplyPlan.Whole(400, "text/event-stream", Encoding.UTF8.GetBytes("event:error\ndata:"
                + $$"""{"code":"InvalidParameter","message":"Range of input length should be [1, 983616]","request_id":"{{c.Head.Uuid}}"}"""
                    + "\n\n")),
        },
        new("error-200-json", Group, "200 `application/json` with the body of an error")
        {
            Reply = c => ReplyPlan.Json(200, new ErrorRow("", 200, "internal_error", "An internal error has occured.").Body(c.Head.Uuid)),
        },
        new("error-200-text", Group, "200 with `{\"error\":\"text\"}`, as Ollama's tool parser fails")
        {
            Reply = _ => ReplyPlan.Json(200, """{"error":"XML syntax error on line 4: element <parameter> closed by </function>"}"""u8.ToArray()),
        },
        new("html-200", Group, "200 with a web page")
        {
            Reply = _ => ReplyPlan.Whole(200, "text/html; charset=utf-8",
                "<!DOCTYPE html>\n<html><body><h1>Sign in to the network</h1></body></html>\n"u8.ToArray()),
        },
        new("json-200", Group, "a whole JSON answer to a request for a stream") { Reply = JsonInsteadOfStream },
        new("empty-200", Group, "200, `text/event-stream`, no byte of body") { Reply = _ => ReplyPlan.Stream([]) },
        new("done-only", Group, "200 and nothing but `[DONE]`") { Reply = _ => ReplyPlan.Stream([Encoding.UTF8.GetBytes(Data("[DONE]"))]) },
        new("redirect", Group, "307 to another place, `location=` (http://127.0.0.1:9/)")
        {
            Reply = c =>
            {
                ReplyPlan plan = new() { Status = 307, ContentLength = 0 };
                plan.Headers.Add(new KeyValuePair<string, string>("Location", c.Spec.Get("location") ?? "http://127.0.0.1:9/"));
                return plan;
            },
        },
    ];

    /// <summary>
    /// The first events of what is meant, then the error. A request that does not stream gets the same bytes: such errors come from
    /// servers that had already begun to stream within.
    /// </summary>
    private static ReplyPlan Broken(ScenarioContext context, int events, string error)
    {
        List<EventData> whole = ReplyComposer.Events(context, [], ReplyComposer.Meant(context, ScenarioCatalogue.Resolve(context.Spec)));
        List<ReadOnlyMemory<byte>> frames = Framing.Default.Frame(whole[..Math.Min(context.Spec.Number("events", events), whole.Count - 3)]);
        frames.Add(Encoding.UTF8.GetBytes(error));
        return ReplyPlan.Stream(frames);
    }

    private static string DashScopeFrame(ScenarioContext context)
    {
        ScenarioSpec spec = context.Spec;
        using JsonBuilder json = new();
        json.Raw("{\"request_id\":"u8).Text(context.Head.Uuid).Raw(",\"code\":"u8).Text(spec.Get("code") ?? "Throttling.AllocationQuota");
        json.Raw(",\"message\":"u8).Text(spec.Get("message") ?? "Allocated quota exceeded, please increase your quota limit.").Raw("}"u8);
        return $"id:1\nevent:error\n:HTTP_STATUS/{spec.Number("status", 429)}\ndata:{json}\n\n";
    }

    private static string ErrorObject(ScenarioContext context)
    {
        using JsonBuilder json = new();
        json.Raw("{\"error\":{\"code\":"u8).Text(context.Spec.Get("code") ?? "KeyError");
        return json.Raw(",\"message\":"u8).Text(context.Spec.Get("message") ?? "'id'").Raw("}}"u8).ToString();
    }

    private static ReplyPlan JsonInsteadOfStream(ScenarioContext context) =>
        ReplyPlan.Json(200, ReplyComposer.Whole(context, ReplyComposer.Meant(context, ScenarioCatalogue.Resolve(context.Spec))));

    /// <summary>The failure that a server of the dialect itself would tell in the middle of a stream.</summary>
    private static string OwnError(ScenarioContext context)
    {
        string message = JsonBuilder.Quote(context.Spec.Get("message") ?? "Too many requests are being served.");
        return context.Dialect switch
        {
            ApiDialect.Messages => "event: error\n" + Data($$$"""{"type":"error","error":{"type":"overloaded_error","message":{{{message}}}}}"""),
            ApiDialect.Responses => "event: response.failed\n" + Data("{\"type\":\"response.failed\",\"sequence_number\":99,\"response\":{\"id\":\"resp_" + context.Head.Uuid
                + "\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":" + message + "},\"output\":[]}}"),
            _ => Data($$$"""{"error":{"code":"server_error","message":{{{message}}}}}"""),
        };
    }

    private static string Data(string json) => "data: " + json + "\n\n";
}
