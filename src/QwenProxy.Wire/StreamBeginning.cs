namespace QwenProxy.Wire;

/// <summary>Tells an event stream from anything else by its first bytes.</summary>
public static class StreamBeginning
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>Null while there is too little to tell.</summary>
    /// <param name="bytes">What has come so far.</param>
    /// <param name="declared">The content type says that it is one: then only a JSON object or list, or a page's tag, proves the contrary.</param>
    public static bool? Read(ReadOnlySpan<byte> bytes, bool declared)
    {
        if (bytes.Length < ByteOrderMark.Length && ByteOrderMark.StartsWith(bytes)) return null;
        if (bytes.StartsWith(ByteOrderMark)) bytes = bytes[ByteOrderMark.Length..];
        bytes = bytes.TrimStart(" \t\r\n"u8);
        if (bytes.IsEmpty) return null;
        if (declared) return bytes[0] is not ((byte)'{' or (byte)'[' or (byte)'<');
        return bytes[0] == ':' ? true : IsField(bytes, "data"u8) ?? IsField(bytes, "event"u8) ?? IsField(bytes, "id"u8) ?? IsField(bytes, "retry"u8) ?? Undecided(bytes);
    }

    /// <summary>Null where the line does not begin with this field's name, or has not come far enough to say so.</summary>
    private static bool? IsField(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> name) =>
        bytes.StartsWith(name) && bytes.Length > name.Length && bytes[name.Length] is (byte)':' or (byte)'\r' or (byte)'\n' ? true : null;

    private static bool? Undecided(ReadOnlySpan<byte> bytes) =>
        "data"u8.StartsWith(bytes) || "event"u8.StartsWith(bytes) || "id"u8.StartsWith(bytes) || "retry"u8.StartsWith(bytes) ? null : false;
}
