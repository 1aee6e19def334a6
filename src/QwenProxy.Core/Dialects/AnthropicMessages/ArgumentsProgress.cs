namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Follows a call's arguments far enough to know when their object or array is closed.</summary>
internal struct ArgumentsProgress
{
    private int _depth;
    private bool _inString;
    private bool _escaped;

    public bool Complete { get; private set; }

    public void Add(ReadOnlySpan<byte> utf8)
    {
        foreach (byte b in utf8)
        {
            if (_escaped) _escaped = false;
            else if (_inString)
            {
                if (b == '\\') _escaped = true;
                else if (b == '"') _inString = false;
            }
            else if (b == '"') _inString = true;
            else if (b is (byte)'{' or (byte)'[') _depth++;
            else if (b is (byte)'}' or (byte)']' && --_depth <= 0) Complete = true;
        }
    }
}
