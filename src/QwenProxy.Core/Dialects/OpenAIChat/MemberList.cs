namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>The members of a JSON object in the order they were first seen, each with its raw value.</summary>
internal static class MemberList
{
    /// <summary>Sets a member; a later null does not wipe out an earlier value.</summary>
    public static void Set(List<KeyValuePair<string, byte[]>> members, string name, ReadOnlySpan<byte> value)
    {
        int at = members.FindIndex(m => m.Key == name);
        if (at < 0) members.Add(new(name, value.ToArray()));
        else if (!value.SequenceEqual("null"u8) && !value.SequenceEqual(members[at].Value)) members[at] = new(name, value.ToArray());
    }

    /// <summary>Joins a streamed value to what is there: strings and arrays grow, anything else is replaced.</summary>
    public static void Grow(List<KeyValuePair<string, byte[]>> members, string name, ReadOnlySpan<byte> value)
    {
        int at = members.FindIndex(m => m.Key == name);
        if (at < 0)
        {
            members.Add(new(name, value.ToArray()));
            return;
        }

        byte[] old = members[at].Value;
        if (value.SequenceEqual("null"u8)) return;
        if (old.AsSpan().SequenceEqual("null"u8) || old.Length < 2 || value.Length < 2 || old[0] != value[0])
        {
            members[at] = new(name, value.ToArray());
            return;
        }

        members[at] = new(name, (char)old[0] switch
        {
            '"' => [.. old.AsSpan(0, old.Length - 1), .. value[1..]],
            '[' => JoinArrays(old, value),
            _ => value.ToArray(),
        });
    }

    private static byte[] JoinArrays(byte[] old, ReadOnlySpan<byte> more)
    {
        bool oldEmpty = old.AsSpan(1, old.Length - 2).Trim(" \t\r\n"u8).IsEmpty;
        bool moreEmpty = more[1..^1].Trim(" \t\r\n"u8).IsEmpty;
        if (moreEmpty) return old;
        if (oldEmpty) return more.ToArray();
        return [.. old.AsSpan(0, old.Length - 1), (byte)',', .. more[1..]];
    }
}
