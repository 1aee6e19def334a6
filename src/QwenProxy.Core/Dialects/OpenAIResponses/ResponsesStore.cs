using System.Diagnostics.CodeAnalysis;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// The answers this process remembers, so that a client may name one (<c>previous_response_id</c>) or an item of one (<c>item_reference</c>)
/// instead of sending it again. Bounded by count and by bytes; the answer that was longest unused goes first. Nothing outlives the process.
/// Each client (its key's name, or empty without keys) sees its own answers only. Safe for use from several threads.
/// </summary>
public sealed class ResponsesStore(int maxResponses = 1000, long maxBytes = 64L * 1024 * 1024)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<StoredResponse> _byUse = new();
    private readonly Dictionary<(string Client, string Id), LinkedListNode<StoredResponse>> _responses = [];
    private readonly Dictionary<(string Client, string Id), StoredItem> _items = [];
    private long _bytes;

    public int Count
    {
        get
        {
            lock (_gate) return _responses.Count;
        }
    }

    /// <summary>Bytes held. Items that several answers of one conversation share are counted for each of them, so the true figure is lower.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate) return _bytes;
        }
    }

    /// <summary>What one client may name in its requests.</summary>
    public ResponsesStoredItems Of(string client) => new(this, client);

    /// <summary>The response object as its client got it, for <c>GET /v1/responses/{id}</c>.</summary>
    public bool TryGetResponse(string client, string id, out ReadOnlyMemory<byte> json)
    {
        bool found = TryGet(client, id, out StoredResponse? response);
        json = found ? response!.Json : default;
        return found;
    }

    /// <summary>For <c>DELETE /v1/responses/{id}</c>. False when there is no such answer.</summary>
    public bool Remove(string client, string id)
    {
        lock (_gate)
        {
            if (!_responses.TryGetValue((client, id), out LinkedListNode<StoredResponse>? node)) return false;
            Drop(node);
            return true;
        }
    }

    /// <summary>The body that answers a deletion.</summary>
    public static byte[] DeletedBody(string id) => [.. "{\"id\":"u8, .. RawJson.Quote(id), .. ",\"object\":\"response\",\"deleted\":true}"u8];

    /// <summary>The error for an id that is not (or no longer) here: 404.</summary>
    public static Errors.ProxyError NotFound(string id) =>
        ResponsesErrors.Invalid($"Response with id '{id}' not found.", "response_id", "response_not_found") with { Status = 404 };

    /// <summary>Keeps an answer. One that is larger than the whole store is not kept, and pushes nothing out.</summary>
    internal void Put(StoredResponse response)
    {
        if (response.SizeBytes > maxBytes || maxResponses < 1) return;
        lock (_gate)
        {
            if (_responses.TryGetValue((response.Client, response.Id), out LinkedListNode<StoredResponse>? old)) Drop(old);
            while (_responses.Count >= maxResponses || _bytes + response.SizeBytes > maxBytes) Drop(_byUse.Last!);
            _responses.Add((response.Client, response.Id), _byUse.AddFirst(response));
            _bytes += response.SizeBytes;
            foreach ((string id, byte[] json) in response.Output) _items[(response.Client, id)] = new StoredItem(response, json);
        }
    }

    internal bool TryGet(string client, string id, [NotNullWhen(true)] out StoredResponse? response)
    {
        lock (_gate)
        {
            response = null;
            if (!_responses.TryGetValue((client, id), out LinkedListNode<StoredResponse>? node)) return false;
            Touch(node);
            response = node.Value;
            return true;
        }
    }

    internal bool TryGetItem(string client, string id, out ReadOnlyMemory<byte> json)
    {
        lock (_gate)
        {
            json = default;
            if (!_items.TryGetValue((client, id), out StoredItem? item)) return false;
            Touch(_responses[(client, item.Owner.Id)]);
            json = item.Json;
            return true;
        }
    }

    private void Touch(LinkedListNode<StoredResponse> node)
    {
        _byUse.Remove(node);
        _byUse.AddFirst(node);
    }

    private void Drop(LinkedListNode<StoredResponse> node)
    {
        StoredResponse response = node.Value;
        _byUse.Remove(node);
        _responses.Remove((response.Client, response.Id));
        _bytes -= response.SizeBytes;
        foreach ((string id, _) in response.Output)
        {
            if (_items.TryGetValue((response.Client, id), out StoredItem? item) && item.Owner == response) _items.Remove((response.Client, id));
        }
    }

    private sealed record StoredItem(StoredResponse Owner, byte[] Json);
}

/// <summary>One client's view of the store, as the request parser uses it.</summary>
public sealed class ResponsesStoredItems
{
    private readonly ResponsesStore _store;
    private readonly string _client;

    internal ResponsesStoredItems(ResponsesStore store, string client)
    {
        _store = store;
        _client = client;
    }

    internal bool TryGetItem(string id, out ReadOnlyMemory<byte> json) => _store.TryGetItem(_client, id, out json);

    /// <summary>Everything said up to and including an answer, in order.</summary>
    internal bool TryGetConversation(string responseId, [NotNullWhen(true)] out IReadOnlyList<ReadOnlyMemory<byte>>? items)
    {
        items = null;
        if (!_store.TryGet(_client, responseId, out StoredResponse? response)) return false;
        items = [.. response.Input, .. response.Output.Select(o => (ReadOnlyMemory<byte>)o.Json)];
        return true;
    }
}

/// <summary>An answer with everything that led to it, so that a conversation survives when its earlier answers have been pushed out.</summary>
internal sealed class StoredResponse
{
    public required string Client { get; init; }

    public required string Id { get; init; }

    public required byte[] Json { get; init; }

    /// <summary>The whole conversation before the answer.</summary>
    public required IReadOnlyList<ReadOnlyMemory<byte>> Input { get; init; }

    public required IReadOnlyList<(string Id, byte[] Json)> Output { get; init; }

    public long SizeBytes => field > 0 ? field : field = Json.Length + Input.Sum(i => (long)i.Length) + Output.Sum(o => (long)o.Json.Length);
}
