using System.Globalization;
using System.Text;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Requests;
using QwenProxy.Wire;

namespace QwenProxy.Console;

/// <summary>
/// <c>qwen-proxy replay FILE</c>: a captured upstream stream through the same repair that a live one gets. The stream a client would have read goes
/// to stdout, one line per decision to stderr. Ids are counted, so that two runs of one file give the same bytes.
/// </summary>
internal sealed class ReplayCommand(Terminal terminal, TimeProvider time)
{
    private int _ids;

    public async Task<int> RunAsync(ReplayOptions options, CancellationToken stop)
    {
        foreach (string file in new[] { options.File, options.RequestFile }.OfType<string>().Where(f => !File.Exists(f)))
        {
            terminal.Error.WriteLine($"There is no file {file}.");
            return ExitCodes.NotFound;
        }

        byte[] capture = await File.ReadAllBytesAsync(options.File, stop);
        if (!IsEventStream(capture))
        {
            terminal.Error.WriteLine($"{options.File} is no event stream: none of its lines begins with \"data:\".");
            return ExitCodes.NotFound;
        }

        RepairReport report = new();
        UpstreamProfile profile = ProfileOf(options);
        if (!TryReadRequest(options.RequestFile, out ChatRequest? request)) return ExitCodes.BadUsage;
        RepairContext context = new()
        {
            Report = report,
            Tools = request is { Tools.IsEmpty: false } chat ? chat.Body.Slice(chat.Tools.Start, chat.Tools.Length) : default,
            Messages = request is null ? default : request.Body.Slice(request.Messages.Start, request.Messages.Length),
            ExpectsJson = request is { } asked && asked.ResponseFormat.In(asked.Body.Span).IndexOf("json_"u8) >= 0,
            Deltas = RepairPipeline.HabitOf(profile),
            KeyOrderMark = profile.KeyOrderMark,
        };
        using PooledBytes output = new();
        using DownstreamAnswer answer = AnswerOf(options.Dialect, output);
        using RepairPipeline pipeline = new(context, ModesOf(options.Repair), () => NewId("call_"), answer);
        ProxyError? fault = new StreamReplay(ReaderOf(capture), pipeline, context, answer).Run(capture);
        terminal.Out.Write(Encoding.UTF8.GetString(output.Span));
        await terminal.Out.FlushAsync(stop);
        Tell(report, pipeline, fault);
        return ExitCodes.Done;
    }

    /// <summary>A stream that was cut before its first event has at least a comment or another field.</summary>
    private static bool IsEventStream(ReadOnlySpan<byte> capture)
    {
        if (capture.StartsWith("\uFEFF"u8)) capture = capture[3..];
        foreach (Range range in capture.SplitAny("\r\n"u8))
        {
            ReadOnlySpan<byte> line = capture[range];
            if (line.StartsWith("data:"u8) || line.StartsWith("event:"u8) || line.StartsWith("id:"u8) || line.StartsWith("retry:"u8) || line.StartsWith(":"u8)) return true;
        }

        return false;
    }

    /// <summary>
    /// The proxy's own captures are named TIME-REQUEST.PROFILE.sse. Of other files nobody knows where they come from; the profile whose evidence is the
    /// strongest shows most of what repair can do, and <c>--profile generic</c> what it does without.
    /// </summary>
    private static UpstreamProfile ProfileOf(ReplayOptions options)
    {
        string named = Path.GetExtension(Path.GetFileNameWithoutExtension(options.File)).TrimStart('.');
        return Profiles.ByName(options.Profile ?? named) ?? Profiles.QwenPortal;
    }

    /// <summary>A stream says by its first event in which dialect it is.</summary>
    public static EventReader ReaderOf(ReadOnlySpan<byte> capture)
    {
        ReadOnlySpan<byte> first = capture[..Math.Min(capture.Length, 4096)];
        if (first.IndexOf("\"message_start\""u8) >= 0) return new MessagesEventReader();
        return first.IndexOf("\"response.created\""u8) >= 0 ? new ResponsesEventReader() : ChatEventDecoder.Shared;
    }

    private static RepairModes ModesOf(string repair) => repair switch
    {
        "off" => new RepairModes(StutterMode.Off, null, null, null),
        "observe" => new RepairModes(StutterMode.Observe, RepairMode.Observe, RepairMode.Observe, null),
        "safe" => new RepairModes(StutterMode.Safe, RepairMode.On, RepairMode.On, null),
        _ => new RepairModes(StutterMode.Auto, RepairMode.On, RepairMode.On, null),
    };

    private string NewId(string prefix) => prefix + (++_ids).ToString("D6", CultureInfo.InvariantCulture);

    /// <summary>The request tells which tools were declared; without it leaked calls cannot be told from text.</summary>
    private bool TryReadRequest(string? file, out ChatRequest? request)
    {
        request = null;
        if (file is null) return true;
        if (ChatRequest.TryParse(File.ReadAllBytes(file), out ChatRequest read, out string problem))
        {
            request = read;
            return true;
        }

        terminal.Error.WriteLine($"{file} is no chat completions request: {problem}");
        return false;
    }

    private DownstreamAnswer AnswerOf(string dialect, PooledBytes output)
    {
        switch (dialect)
        {
            case "messages": return new MessagesStreamAnswer(output, new MessagesAnswerOptions { NewId = () => NewId("") });
            case "responses":
                byte[] body = """{"model":"replay","input":"","stream":true,"store":false}"""u8.ToArray();
                ResponsesRequestParser.TryTranslate(body, new ResponsesStore().Of(""), out ResponsesRequest? request, out _);
                return new ResponsesStreamAnswer(output, new ResponsesAnswerOptions { Request = request!, NewId = () => NewId(""), Clock = time });
            default: return new ChatStreamAnswer(output, usageAsked: true);
        }
    }

    private void Tell(RepairReport report, RepairPipeline pipeline, ProxyError? fault)
    {
        foreach (RepairDecision d in report.Decisions)
        {
            terminal.Error.WriteLine($"event {d.Event}: {d.Stage} {d.Rule} {d.Action.ToString().ToLowerInvariant()} {d.Bytes} bytes of {d.Channel} {d.Detail}".TrimEnd());
        }

        int all = report.Counts.Values.Sum();
        if (all > report.Decisions.Count) terminal.Error.WriteLine($"… and {all - report.Decisions.Count} more decisions.");
        string end = fault is null ? "complete" : $"failed: {fault.Message}";
        terminal.Error.WriteLine(
            $"{report.EventNumber} events, {all} decisions, {report.RemovedBytes} bytes removed, stutter {pipeline.Outcome.ToString().ToLowerInvariant()}; the stream is {end}");
    }
}
