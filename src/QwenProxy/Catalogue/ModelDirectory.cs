using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Catalogue;

/// <summary>A model on offer: upstream's own object where it sent one, the shipped sizes where it did not say them.</summary>
internal sealed record OfferedModel(string Id, string Account, ReadOnlyMemory<byte> UpstreamObject)
{
    /// <summary>Tokens; 0 where nobody knows.</summary>
    public int ContextTokens { get; init; }

    public int MaxOutputTokens { get; init; }

    public long Created { get; init; }

    /// <summary>The model an alias stands for; null for a model of its own.</summary>
    public string? AliasOf { get; init; }
}

/// <summary>
/// The models of all accounts. Each account's list is asked for at most every five minutes; while it cannot be had the last one, the account's
/// configured list, or the shipped catalogue stands in.
/// </summary>
internal sealed partial class ModelDirectory(UpstreamTransport transport, AccountAuthorizer authorizer, TimeProvider time, ILogger<ModelDirectory> logger)
{
    internal const int MaxListBytes = 8 * 1024 * 1024;
    private static readonly TimeSpan Fresh = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan RetryAfterFailure = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Cached> _lists = new(StringComparer.Ordinal);

    public async Task<IReadOnlyList<OfferedModel>> ListAsync(ProxySnapshot snapshot, CancellationToken cancellationToken)
    {
        IReadOnlyList<OfferedModel>[] lists = await Task.WhenAll(snapshot.Accounts.Select(a => ListAsync(a, snapshot, cancellationToken)));
        Dictionary<string, OfferedModel> merged = new(StringComparer.Ordinal);
        foreach (OfferedModel model in lists.Zip(snapshot.Accounts).OrderBy(pair => pair.Second.Priority).SelectMany(pair => pair.First)) merged.TryAdd(model.Id, model);
        foreach ((string alias, string target) in snapshot.Models.Aliases)
        {
            if (alias.Contains('*', StringComparison.Ordinal) || merged.ContainsKey(alias)) continue;
            merged[alias] = merged.TryGetValue(target, out OfferedModel? real)
                ? real with { Id = alias, AliasOf = target, UpstreamObject = default }
                : WithSizes(new OfferedModel(alias, "", default) { AliasOf = target }, target);
        }

        return [.. merged.Values];
    }

    private static OfferedModel WithSizes(OfferedModel model, string knownAs)
    {
        ModelEntry? known = ModelCatalogue.TryGet(knownAs);
        return known is null ? model : model with
        {
            ContextTokens = model.ContextTokens > 0 ? model.ContextTokens : known.ContextTokens,
            MaxOutputTokens = model.MaxOutputTokens > 0 ? model.MaxOutputTokens : known.MaxOutputTokens,
        };
    }

    /// <summary>Those of one account.</summary>
    public async Task<IReadOnlyList<OfferedModel>> ListAsync(AccountSnapshot account, ProxySnapshot snapshot, CancellationToken cancellationToken)
    {
        IReadOnlyList<OfferedModel> asked = await AskAsync(account, snapshot, cancellationToken);
        if (account.Models.IsEmpty) return asked;
        // The account's own list decides what is on offer; upstream's objects tell more about it.
        return [.. account.Models.Select(name => asked.FirstOrDefault(m => m.Id == name) ?? WithSizes(new OfferedModel(name, account.Name, default), name))];
    }

    private async Task<IReadOnlyList<OfferedModel>> AskAsync(AccountSnapshot account, ProxySnapshot snapshot, CancellationToken cancellationToken)
    {
        Cached? cached = _lists.GetValueOrDefault(account.Name);
        if (cached is not null && ReferenceEquals(cached.Account, account) && time.GetUtcNow() < cached.Until) return cached.Models;
        IReadOnlyList<OfferedModel>? answer = null;
        try
        {
            answer = await FetchAsync(account, snapshot, cancellationToken);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or JsonException or InvalidDataException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            LogListFailed(account.Name, TransportFaults.Explain(failure, null, headersCame: true, snapshot.Timeouts.Connect).Message);
        }

        IReadOnlyList<OfferedModel> models = answer ?? cached?.Models ?? [.. ModelCatalogue.All.Select(m => WithSizes(new OfferedModel(m.Name, account.Name, default), m.Name))];
        _lists[account.Name] = new Cached(account, models, time.GetUtcNow() + (answer is null ? RetryAfterFailure : Fresh));
        return models;
    }

    private async Task<IReadOnlyList<OfferedModel>?> FetchAsync(AccountSnapshot account, ProxySnapshot snapshot, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using Deadline deadline = new(time, AskTimeout, limit);
        Authorization authorization = await authorizer.AuthorizeAsync(account, limit.Token);
        if (authorization.BaseUrl is null) return null;
        using HttpRequestMessage request = RequestFor(authorization.BaseUrl);
        HeaderAllowList.ApplyAccount(account, request, authorization.Token);
        HttpResponseMessage response = await transport.SendAsync(request, snapshot, limit.Token);
        try
        {
            if (!response.IsSuccessStatusCode) return null;
            Stream body = await UpstreamCall.OpenBodyAsync(response, limit.Token);
            using PooledBytes text = new();
            int read;
            while ((read = await body.ReadAsync(text.GetMemory(4096), limit.Token)) > 0)
            {
                text.Advance(read);
                if (text.Length > MaxListBytes) return null;
            }

            return Parse(text.Span, account.Name);
        }
        finally
        {
            UpstreamTransport.Release(response);
        }
    }

    /// <summary>Asks for the models at a base URL; what authorizes it is still to be added.</summary>
    internal static HttpRequestMessage RequestFor(Uri baseUrl)
    {
        HttpRequestMessage request = new(HttpMethod.Get, $"{baseUrl.AbsoluteUri.TrimEnd('/')}/models");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        return request;
    }

    /// <summary>The models of a list as upstreams write it; null when there is no model in it.</summary>
    internal static List<OfferedModel>? Parse(ReadOnlySpan<byte> json, string account)
    {
        JsonScanner top = new(json);
        while (top.MoveNext())
        {
            if (!top.NameIs("data"u8) && !top.NameIs("models"u8)) continue;
            if (json[top.Value.Start] != '[') continue;
            List<OfferedModel> models = [];
            JsonScanner items = new(json[..top.Value.End], top.Value.Start);
            while (items.MoveNext())
            {
                if (ReadModel(items.Value.In(json), account) is { } model) models.Add(model);
            }

            return models.Count > 0 ? models : null;
        }

        return null;
    }

    private static OfferedModel? ReadModel(ReadOnlySpan<byte> item, string account)
    {
        if (item.IsEmpty || item[0] != '{') return null;
        using JsonDocument parsed = JsonDocument.Parse(item.ToArray());
        JsonElement root = parsed.RootElement;
        if (!root.TryGetProperty("id", out JsonElement id) || id.ValueKind != JsonValueKind.String || id.GetString() is not { Length: > 0 } name) return null;
        OfferedModel model = new(name, account, item.ToArray())
        {
            // Local servers say it as max_model_len, some gateways as context_length.
            ContextTokens = Number(root, "context_length", "max_model_len", "context_window"),
            MaxOutputTokens = Number(root, "max_output_tokens", "max_completion_tokens"),
            Created = root.TryGetProperty("created", out JsonElement created) && created.ValueKind == JsonValueKind.Number && created.TryGetInt64(out long at) ? at : 0,
        };
        return WithSizes(model, name);
    }

    private static int Number(JsonElement root, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number > 0) return number;
        }

        return 0;
    }

    [LoggerMessage(EventId = 40, Level = LogLevel.Debug, Message = "The model list of account {account} could not be had: {reason}")]
    private partial void LogListFailed(string account, string reason);

    private sealed record Cached(AccountSnapshot Account, IReadOnlyList<OfferedModel> Models, DateTimeOffset Until);
}
