using System.Net.Sockets;
using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console;

/// <summary>Why a server of this program could not listen, in one sentence that ends with the way out.</summary>
internal static class ListenProblem
{
    /// <summary>What a server throws that cannot have its address.</summary>
    public static bool Is(Exception failure) => failure is IOException or SocketException;

    /// <param name="who">Who could not, as the beginning of the sentence.</param>
    public static async Task<string> TellAsync(string who, string host, int port, Exception failure, CancellationToken stop)
    {
        SocketError error = failure.GetBaseException() is SocketException socket ? socket.SocketErrorCode : SocketError.SocketError;
        string why = error switch
        {
            SocketError.AddressAlreadyInUse => await HolderAsync(host, port, stop),
            SocketError.AccessDenied => "this user may not use that port, as a rule because it is below 1024. Choose another one with --port",
            SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported => "this machine has no such address. Choose one that it has with --host, such as 127.0.0.1",
            SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "the name cannot be resolved. Choose an address with --host, such as 127.0.0.1",
            _ => $"{failure.GetBaseException().Message.TrimEnd('.')}. Choose another address with --host or another port with --port",
        };
        return $"{who} cannot listen on {(host.Contains(':', StringComparison.Ordinal) ? $"[{host.Trim('[', ']')}]" : host)}:{port}: {why}.";
    }

    private static async Task<string> HolderAsync(string host, int port, CancellationToken stop)
    {
        const string other = "another program listens there. Stop it or choose another port with --port";
        (JsonDocument? status, _) = await AdminClient.StatusAsync(new ProxySnapshot { Host = host, Port = port }, stop);
        using (status)
        {
            if (status is null || !status.RootElement.TryGetProperty("version", out JsonElement version) || !status.RootElement.TryGetProperty("uptimeSeconds", out JsonElement up)) return other;
            return $"a qwen-proxy listens there already ({version.GetString()?.Split('+')[0]}, up {TimeSpan.FromSeconds(up.GetDouble())}). Use that one, stop it, or choose another port with --port";
        }
    }
}
