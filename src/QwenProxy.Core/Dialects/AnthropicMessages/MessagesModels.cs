using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <param name="Created">Unknown is null and shown as the epoch.</param>
/// <param name="ContextTokens">How many tokens a prompt may have; null where unknown.</param>
/// <param name="MaxOutputTokens">How many tokens an answer may have; null where unknown.</param>
public sealed record MessagesModel(
    string Id, string DisplayName, DateTimeOffset? Created = null, int? ContextTokens = null, int? MaxOutputTokens = null);

/// <summary>Models in Anthropic's shape, in pages.</summary>
public static class MessagesModels
{
    private const int DefaultLimit = 20;
    private const int MaxLimit = 1000;

    /// <summary>
    /// One page of the list in the order given. <paramref name="limit"/> is 1 to 1000 (outside it is brought in; null is 20); an id in
    /// <paramref name="afterId"/> or <paramref name="beforeId"/> that is not in the list counts as absent, since a list may change between two pages.
    /// </summary>
    public static byte[] WriteList(IReadOnlyList<MessagesModel> models, int? limit = null, string? afterId = null, string? beforeId = null)
    {
        int size = Math.Clamp(limit ?? DefaultLimit, 1, MaxLimit);
        int start = IndexOf(models, afterId) + 1;
        int end = models.Count;
        int before = IndexOf(models, beforeId);
        bool hasMore;
        if (before >= 0 && afterId is null)
        {
            end = before;
            start = Math.Max(0, end - size);
            hasMore = start > 0;
        }
        else
        {
            end = Math.Min(end, start + size);
            hasMore = end < models.Count;
        }

        using PooledBytes json = new(1024);
        json.Write("{\"data\":["u8);
        for (int i = start; i < end; i++)
        {
            if (i > start) json.Write(","u8);
            WriteModel(json, models[i]);
        }

        json.Write(hasMore ? "],\"has_more\":true,\"first_id\":"u8 : "],\"has_more\":false,\"first_id\":"u8);
        WriteText(json, start < end ? models[start].Id : null);
        json.Write(",\"last_id\":"u8);
        WriteText(json, start < end ? models[end - 1].Id : null);
        json.Write("}"u8);
        return json.Span.ToArray();
    }

    public static byte[] WriteOne(MessagesModel model)
    {
        using PooledBytes json = new(256);
        WriteModel(json, model);
        return json.Span.ToArray();
    }

    private static int IndexOf(IReadOnlyList<MessagesModel> models, string? id)
    {
        for (int i = 0; i < models.Count && id is not null; i++)
        {
            if (models[i].Id == id) return i;
        }

        return -1;
    }

    private static void WriteModel(PooledBytes json, MessagesModel model)
    {
        json.Write("{\"type\":\"model\",\"id\":"u8);
        WriteText(json, model.Id);
        json.Write(",\"display_name\":"u8);
        WriteText(json, model.DisplayName);
        json.Write(",\"created_at\":"u8);
        DateTimeOffset created = model.Created ?? DateTimeOffset.UnixEpoch;
        WriteText(json, created.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        WriteNumber(json, ",\"max_input_tokens\":"u8, model.ContextTokens);
        WriteNumber(json, ",\"max_tokens\":"u8, model.MaxOutputTokens);
        json.Write("}"u8);
    }

    private static void WriteNumber(PooledBytes json, ReadOnlySpan<byte> opening, int? number)
    {
        if (number is null) return;
        json.Write(opening);
        json.Write(Encoding.ASCII.GetBytes(number.Value.ToString(CultureInfo.InvariantCulture)));
    }

    private static void WriteText(PooledBytes json, string? text)
    {
        if (text is null) json.Write("null"u8);
        else JsonText.WriteString(Encoding.UTF8.GetBytes(text), json);
    }
}
