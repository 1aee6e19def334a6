namespace QwenProxy.Console;

/// <summary>What the program tells the shell.</summary>
internal static class ExitCodes
{
    /// <summary>Done, or stopped by a signal after a clean drain.</summary>
    public const int Done = 0;

    public const int Failed = 1;

    /// <summary>The thing asked for was not found, or a check did not pass.</summary>
    public const int NotFound = 2;

    /// <summary>Bad command line or configuration; every fault was listed.</summary>
    public const int BadUsage = 64;
}
