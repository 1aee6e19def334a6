namespace QwenProxy.Core.Tests.Fleet;

/// <summary>
/// The row of one account's sign-in, and what the program's statements do to it: the lease is taken when nobody has it or its time is over, each taking counts
/// the fence up, and a write must show the newest. Times are the database's.
/// </summary>
internal sealed class LeaseRow
{
    private static readonly TimeSpan s_length = TimeSpan.FromSeconds(15);

    private long _fence;
    private string? _holder;
    private DateTimeOffset _until;

    /// <summary>The version of the tokens in the row, and which generation of the sign-in server's they are.</summary>
    public long Version { get; private set; } = 1;

    public long Generation { get; private set; } = 1;

    /// <summary>Null while another has it.</summary>
    public long? Take(string replica, DateTimeOffset now)
    {
        if (_holder is not null && _holder != replica && _until >= now) return null;
        (_holder, _until) = (replica, now + s_length);
        return ++_fence;
    }

    public void Renew(long fence, DateTimeOffset now)
    {
        if (_fence == fence && _holder is not null) _until = now + s_length;
    }

    public bool Write(long fence, long generation)
    {
        if (_fence != fence) return false;
        (Version, Generation, _holder) = (Version + 1, generation, null);
        return true;
    }

    public void GiveBack(long fence)
    {
        if (_fence == fence) _holder = null;
    }
}
