namespace QwenProxy.Core.Catalogue;

/// <summary>Whether an account is asked in the client's own dialect.</summary>
public enum NativeMode
{
    /// <summary>Where the service is known to speak it.</summary>
    Auto,

    /// <summary>Everywhere; where it turns out not to, chat is spoken after all.</summary>
    Always,

    /// <summary>Nowhere: every request is translated to chat.</summary>
    Never,
}
