using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>The response object at its end: our own, or the one that upstream announced with what became of it.</summary>
internal sealed partial class ResponsesEncoder
{
    /// <summary>The response as upstream announced it; empty for one of our own.</summary>
    private byte[] _head = [];
    private byte[] _final = [];

    private bool IsPassed => _head.Length > 0;

    private void PassEnd(ChatEvent e)
    {
        EventPart finish = e.Parts[Original(e)];
        bool same = IsPassed && finish is { Removed: false, HasNewText: false };
        if (!finish.Removed) TakeFinish(e.Text(finish));
        Settle();
        if (!same)
        {
            Finish();
            return;
        }

        _edits.Clear();
        if (_differs || e.HasNewUsage)
        {
            CloseItems(_incompleteReason.Length > 0);
            EditResponse(e);
        }

        _ended = true;
        using PooledBytes json = new(e.Data.Length + Math.Max(0, _edits.Growth));
        _edits.WriteTo(e.Data.Span, json);
        _final = JsonScanner.Find(json.Span, "response"u8).In(json.Span).ToArray();
        Store(_final);
        _line.Pass(e, _edits);
    }

    /// <summary>The last frame holds the whole answer: its id, its items and its cost are those of the answer that the client was sent.</summary>
    private void EditResponse(ChatEvent e)
    {
        ReadOnlySpan<byte> data = e.Data.Span, response = e.Frame.Subject.In(data);
        Edit(response, "id"u8, e.Frame.Subject.Start, RawJson.Quote(ResponseId));
        Edit(response, "output"u8, e.Frame.Subject.Start, OutputArray());
        if (!e.HasNewUsage) return;
        using PooledBytes usage = new(256);
        UsageReport.Read(new RawJson(_usage.Memory)).WriteTo(usage);
        _edits.Replace(e.Usage, usage.Span.ToArray());
    }

    private void Edit(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, int start, byte[] value)
    {
        ByteRange place = JsonScanner.Find(json, name);
        if (!place.IsEmpty) _edits.Replace(place with { Start = start + place.Start }, value);
    }

    private byte[] OutputArray()
    {
        using PooledBytes json = new(1024);
        json.Write("["u8);
        foreach (OutputItem item in Announced())
        {
            if (json.Length > 1) json.Write(","u8);
            json.Write(item.Json);
        }

        json.Write("]"u8);
        return json.Span.ToArray();
    }

    /// <summary>The response object in a state: our own, or the one that upstream announced with what became of it.</summary>
    private byte[] WriteResponse(ReadOnlySpan<byte> status, UsageReport? usage, ReadOnlySpan<byte> incompleteReason, ReadOnlySpan<byte> error = default)
    {
        using PooledBytes json = new(4096);
        if (!IsPassed)
        {
            _response.WriteTo(json, status, OutputJson(), usage, incompleteReason, error);
            return json.Span.ToArray();
        }

        JsonSplice head = new();
        Set(head, "status"u8, [(byte)'"', .. status, (byte)'"']);
        Set(head, "output"u8, OutputArray());
        Set(head, "error"u8, error.IsEmpty ? "null"u8.ToArray() : error.ToArray());
        Set(head, "incomplete_details"u8, incompleteReason.IsEmpty ? "null"u8.ToArray() : [.. "{\"reason\":\""u8, .. incompleteReason, .. "\"}"u8]);
        if (usage is { } counts)
        {
            using PooledBytes report = new(256);
            counts.WriteTo(report);
            Set(head, "usage"u8, report.Span.ToArray());
        }

        head.WriteTo(_head, json);
        return json.Span.ToArray();
    }

    private void Set(JsonSplice splice, ReadOnlySpan<byte> name, byte[] value)
    {
        ByteRange place = JsonScanner.Find(_head, name);
        if (!place.IsEmpty) splice.Replace(place, value);
        else splice.Insert(1, (byte[])[.. "\""u8, .. name, .. "\":"u8, .. value, (byte)',']);
    }

    private void Store(byte[] response)
    {
        ResponsesRequest request = _options.Request;
        if (!request.Store || _options.Store is null) return;
        _options.Store.Put(new StoredResponse
        {
            Client = _options.Client,
            Id = ResponseId,
            Json = response,
            Input = [.. request.Earlier, .. request.Input.Select(i => (ReadOnlyMemory<byte>)i.ToArray())],
            Output = [.. Announced().Select(i => (i.Id, i.Json))],
        });
    }
}
