using System.Diagnostics;
using System.Text;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Observability;

/// <summary>
/// One call to an upstream, from the request to the end of its answer, as the conventions see a client of models: a span while somebody listens, and the numbers
/// of <c>gen_ai.client.*</c>. It ends once; disposed of without an end it was called off. Nothing of a conversation is in it.
/// </summary>
internal sealed class AttemptTelemetry : IDisposable
{
    private readonly Instruments _instruments;
    private readonly ModelCall _call;
    private readonly Activity? _span;
    private readonly long _began;
    private List<string>? _finishReasons;
    private string? _responseModel;
    private TokenCounts? _tokens;
    private bool _isOver;

    public AttemptTelemetry(Instruments instruments, AccountSnapshot account, ModelCall call, int number, bool isResume)
    {
        _instruments = instruments;
        _call = call;
        _began = instruments.Time.GetTimestamp();
        _span = RequestTracing.BeginAttempt(account, call, number, isResume);
    }

    /// <summary>Upstream has said something: its first event, or a whole answer's head.</summary>
    /// <param name="streams">It is the beginning of a stream.</param>
    public void Began(bool streams)
    {
        _instruments.Metrics.Served(_call.Model);
        if (!streams) return;
        TimeSpan waited = _instruments.Time.GetElapsedTime(_began);
        _instruments.Metrics.FirstChunk(_call, waited);
        _span?.SetTag("gen_ai.request.stream", true).SetTag("gen_ai.response.time_to_first_chunk", waited.TotalSeconds);
    }

    /// <summary>Who the first event says is answering.</summary>
    public void Names(ChatEvent first)
    {
        ReadOnlySpan<byte> model = first.Plain(first.Model);
        if (!model.IsEmpty) _responseModel = Ascii.Equals(model, _call.Model) ? _call.Model : PrintableText.Of(Encoding.UTF8.GetString(model));
        if (_span is not null && first.Id.Length > 2) _span.SetTag("gen_ai.response.id", PrintableText.Of(first.PlainString(first.Id)));
    }

    /// <summary>A choice has ended; a later reason of the same choice takes the place of an earlier one.</summary>
    public void Finishes(int choice, ReadOnlySpan<byte> reason)
    {
        if (_span is null || reason.IsEmpty || reason.SequenceEqual("null"u8) || choice is < 0 or > 128) return;
        _finishReasons ??= [];
        while (_finishReasons.Count <= choice) _finishReasons.Add("");
        _finishReasons[choice] = PrintableText.Of(Encoding.UTF8.GetString(reason));
    }

    /// <summary>What upstream counted in this answer.</summary>
    public void Uses(TokenCounts? tokens) => _tokens = tokens;

    public void End(ProxyError? error) => End(error is null ? null : ErrorSummary.Snake(error.Kind), error?.Status);

    public void Dispose() => End("cancelled", status: null);

    private void End(string? errorType, int? status)
    {
        if (_isOver) return;
        _isOver = true;
        _instruments.Metrics.CallEnded(_call, _responseModel, _tokens, _instruments.Time.GetElapsedTime(_began), errorType);
        if (_span is null) return;
        if (status is { } code) _span.SetTag("http.response.status_code", code);
        if (_responseModel is not null) _span.SetTag(GenAi.ResponseModel, _responseModel);
        if (_finishReasons is not null) _span.SetTag("gen_ai.response.finish_reasons", _finishReasons.ToArray());
        RequestTracing.SetUsage(_span, _tokens);
        RequestTracing.Close(_span, errorType, isError: errorType is not null);
    }
}
