using System.Runtime.CompilerServices;

namespace QwenProxy.Tests.Support;

/// <summary>What the program sets before its first socket, the tests must set too: Kestrel reads the switch once per process.</summary>
internal static class TestProcess
{
    [ModuleInitializer]
    internal static void Prepare() => AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.FinOnError", true);
}
