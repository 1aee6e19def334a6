using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Accounts;

/// <summary>
/// A number that stays the same through one conversation, so that the conversation stays on one account: prompt caches are worth more than
/// an even spread. From the session header agents send, else from what stands at the front of every request of a conversation: the system
/// text and the first user message.
/// </summary>
public static class AffinityKey
{
    /// <summary>Looked at in this order.</summary>
    public static readonly IReadOnlyList<string> SessionHeaders =
    [
        "x-claude-code-session-id", "session-id", "session_id", "x-session-id", "x-session-affinity", "thread-id", "x-thread-id",
        "conversation-id", "conversation_id", "x-conversation-id",
    ];

    /// <param name="header">Gives a request header's value or null.</param>
    /// <param name="messages">The <c>messages</c> array in the OpenAI chat shape.</param>
    /// <returns>Null when there is neither a header nor a message: the least loaded account is as good as any.</returns>
    public static ulong? From(Func<string, string?> header, ReadOnlySpan<byte> messages)
    {
        foreach (string name in SessionHeaders)
        {
            if (header(name) is { Length: > 0 and <= 512 } value) return OfText(value);
        }

        return OfMessages(messages);
    }

    /// <summary>
    /// Account order for a key: rendezvous hashing. Adding or removing an account moves only the conversations that it gains or loses.
    /// </summary>
    public static ulong Score(ulong key, string account)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in account) hash = (hash ^ c) * 1099511628211;
        ulong mixed = hash ^ key;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }

    private static ulong OfText(string text)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(text), hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    private static ulong? OfMessages(ReadOnlySpan<byte> messages)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        bool any = false;
        JsonScanner items = new(messages);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> message = items.Value.In(messages);
            if (message[0] != '{') continue;
            (ByteRange role, ByteRange content) = Read(message);
            ReadOnlySpan<byte> who = role.In(message);
            bool user = who.SequenceEqual("\"user\""u8);
            if (!user && !who.SequenceEqual("\"system\""u8) && !who.SequenceEqual("\"developer\""u8)) continue;
            hash.AppendData(who);
            hash.AppendData(content.In(message));
            any = true;
            if (user) break;
        }

        return any ? BinaryPrimitives.ReadUInt64LittleEndian(hash.GetHashAndReset()) : null;
    }

    private static (ByteRange Role, ByteRange Content) Read(ReadOnlySpan<byte> message)
    {
        ByteRange role = default, content = default;
        JsonScanner members = new(message);
        while (members.MoveNext())
        {
            if (members.NameIs("role"u8)) role = members.Value;
            else if (members.NameIs("content"u8)) content = members.Value;
        }

        return (role, content);
    }
}
