using System.Net;
using System.Net.Sockets;

namespace QwenProxy.Endpoints;

/// <summary>How often wrong keys were shown, by address: after a few within a minute no key of that address is looked at until the minute is over.</summary>
internal sealed class KeyTries(TimeProvider time)
{
    public const int Most = 10;

    private const int MostAddresses = 4096;

    private static readonly TimeSpan s_window = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<IPAddress, (DateTimeOffset Since, int Count)> _wrong = [];

    /// <summary>How long to wait; null when a key may be shown.</summary>
    public TimeSpan? Wait(IPAddress? address)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            return _wrong.TryGetValue(Whole(address), out (DateTimeOffset Since, int Count) seen) && seen.Count >= Most && seen.Since + s_window > now ? seen.Since + s_window - now : null;
        }
    }

    public void NoteWrong(IPAddress? address)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            if (_wrong.Count >= MostAddresses) Forget(now);
            IPAddress whole = Whole(address);
            bool runs = _wrong.TryGetValue(whole, out (DateTimeOffset Since, int Count) seen) && seen.Since + s_window > now;
            _wrong[whole] = runs ? (seen.Since, seen.Count + 1) : (now, 1);
        }
    }

    /// <summary>What is over goes; of an attack from more addresses than are kept, the oldest.</summary>
    private void Forget(DateTimeOffset now)
    {
        foreach (IPAddress over in _wrong.Where(w => w.Value.Since + s_window <= now).Select(w => w.Key).ToArray()) _wrong.Remove(over);
        if (_wrong.Count >= MostAddresses) _wrong.Remove(_wrong.MinBy(w => w.Value.Since).Key);
    }

    /// <summary>One who has an IPv6 address has 2^64 of them.</summary>
    private static IPAddress Whole(IPAddress? address)
    {
        if (address is null) return IPAddress.None;
        if (address.IsIPv4MappedToIPv6) return address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6) return address;
        byte[] bytes = address.GetAddressBytes();
        Array.Clear(bytes, 8, 8);
        return new IPAddress(bytes);
    }
}
