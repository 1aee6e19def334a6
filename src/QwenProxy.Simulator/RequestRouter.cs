using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;
using QwenProxy.Simulator.Requests;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Simulator;

/// <summary>From the request line to a plan, and from the plan to the wire.</summary>
internal sealed class RequestRouter(SimulatorOptions options, RequestLog log, byte[]? replay)
{
    private readonly IdSource _ids = new(new Random(options.Seed));
    private readonly ScenarioSelector _selector = new(options.Scenario);
    private readonly ReplyRunner _runner = new(options.Time);
    private readonly ModelList _models = new(options.Models);
    private readonly RequestGate _gate = new(options);

    public async Task HandleAsync(HttpContext http)
    {
        byte[] body = await ReadBodyAsync(http.Request);
        RecordedRequest? recorded = log.IsOn || options.ChooseScenario is not null ? Record(http, body) : null;
        if (recorded is not null) log.Add(recorded);
        bool leaving = false;
        using CancellationTokenRegistration watch = recorded is null ? default : http.RequestAborted.Register(() =>
        {
            if (!Volatile.Read(ref leaving)) recorded.MarkAborted();
        });
        try
        {
            string uuid = _ids.NextUuid();
            http.Response.Headers["x-request-id"] = uuid;
            ReplyPlan plan = MakePlan(http, body, recorded, uuid);
            if (!await _runner.RunAsync(http, plan, () => Volatile.Write(ref leaving, true))) recorded?.MarkAborted();
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client left while the headers were on their way; the registration above has noted it.
        }
        finally
        {
            // A hanging reply may be woken by the same token before the registration above had its turn, and is then too quick for it.
            if (http.RequestAborted.IsCancellationRequested && !Volatile.Read(ref leaving)) recorded?.MarkAborted();
            recorded?.MarkEnded();
        }
    }

    private ReplyPlan MakePlan(HttpContext http, byte[] body, RecordedRequest? recorded, string uuid)
    {
        string path = ApiPath(http.Request.Path.Value ?? "/");
        try
        {
            if (_gate.Refuse(http.Request, uuid) is { } refused) return refused;
            ApiDialect? dialect = DialectOf(http.Request.Method, path);
            ModelCall? call = body.Length > 0 ? ModelCall.Parse(body) : null;
            ScenarioSpec spec = _selector.Select(recorded is null ? null : options.ChooseScenario?.Invoke(recorded),
                http.Request.Headers[ScenarioSelector.Header], call?.Model ?? "", dialect is not null);
            if (recorded is not null) recorded.Scenario = spec.Text;
            if (dialect is not { } known) return Plain(http.Request, path, body, spec, uuid);
            if (call is null) return ErrorReplies.BadBody(uuid);
            if (options.OnlyListedModels && !_models.Contains(call.Model)) return ErrorReplies.UnknownModel(call.Model, uuid);
            if (known == ApiDialect.Chat && _gate.RefuseChat(call, uuid) is { } bad) return bad;
            if (replay is not null && call.Stream && known == ApiDialect.Chat) return ReplyPlan.Stream([replay]);
            return ReplyComposer.Compose(Context(spec, known, call, uuid));
        }
        catch (ScenarioException fault)
        {
            return ErrorReplies.Fault(fault.Message, uuid);
        }
        catch (JsonException)
        {
            // Deeper than the first level a body is read only when something in it is wanted.
            return ErrorReplies.BadBody(uuid);
        }
    }

    /// <summary>Routes without a model behind them still obey scenarios that break or delay the reply, when a request names one.</summary>
    private ReplyPlan Plain(HttpRequest request, string path, byte[] body, ScenarioSpec spec, string uuid)
    {
        ReplyPlan plan = request.Method == "GET" && path == "/models" ? ReplyPlan.Json(200, _models.List())
            : request.Method == "GET" && path.StartsWith("/models/", StringComparison.Ordinal)
                ? _models.One(path["/models/".Length..]) is { } one ? ReplyPlan.Json(200, one)
                    : ErrorReplies.UnknownModel(path["/models/".Length..], uuid)
            : path == "/messages/count_tokens" ? ReplyPlan.Json(200, CountTokens(body))
            : path.StartsWith("//", StringComparison.Ordinal) ? ErrorReplies.EmptyNotFound()
            : ReplyPlan.Json(200, EchoWriter.Write(request, body));
        ModelCall nothing = ModelCall.Parse("{}"u8.ToArray())!;
        return ReplyComposer.Decorate(plan, Context(spec, ApiDialect.Chat, nothing, uuid));
    }

    private ScenarioContext Context(ScenarioSpec spec, ApiDialect dialect, ModelCall call, string uuid) =>
        new(spec, dialect, call, new StreamHead(uuid, call.Model, options.Time.GetUtcNow().ToUnixTimeSeconds()))
        {
            Script = options.Script,
            EventGap = options.EventGap,
        };

    private static byte[] CountTokens(byte[] body)
    {
        using JsonBuilder json = new();
        return json.Raw("{\"input_tokens\":"u8).Number(ModelCall.Parse(body)?.PromptTokens ?? 0).Raw("}"u8).ToArray();
    }

    /// <summary>The path below <c>/v1</c>, whatever stands before it; a path without <c>/v1</c> comes back with two slashes.</summary>
    private static string ApiPath(string path)
    {
        foreach (string prefix in (string[])["/v1/", "/compatible-mode/v1/", "/apps/anthropic/v1/", "/api/v2/apps/protocols/compatible-mode/v1/"])
            if (path.StartsWith(prefix, StringComparison.Ordinal)) return path[(prefix.Length - 1)..];
        return "/" + path;
    }

    private static ApiDialect? DialectOf(string method, string path) => method != "POST" ? null : path switch
    {
        "/chat/completions" => ApiDialect.Chat,
        "/completions" => ApiDialect.Completions,
        "/embeddings" => ApiDialect.Embeddings,
        "/messages" => ApiDialect.Messages,
        "/responses" => ApiDialect.Responses,
        _ => null,
    };

    private RecordedRequest Record(HttpContext http, byte[] body) => new()
    {
        Method = http.Request.Method,
        Target = http.Features.Get<IHttpRequestFeature>()!.RawTarget,
        Headers = http.Request.Headers.ToDictionary(h => h.Key, h => string.Join(',', h.Value.ToArray()), StringComparer.OrdinalIgnoreCase),
        Body = body,
        Protocol = http.Request.Protocol,
        ConnectionId = http.Connection.Id,
        At = options.Time.GetUtcNow(),
    };

    private static async ValueTask<byte[]> ReadBodyAsync(HttpRequest request)
    {
        if (request.ContentLength == 0) return [];
        using MemoryStream body = new((int)Math.Min(request.ContentLength ?? 1024, 1 << 26));
        while (true)
        {
            var read = await request.BodyReader.ReadAsync();
            foreach (ReadOnlyMemory<byte> part in read.Buffer) body.Write(part.Span);
            request.BodyReader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }

        return body.TryGetBuffer(out ArraySegment<byte> all) && all.Count == all.Array!.Length ? all.Array : body.ToArray();
    }
}
