using QwenProxy.Core.Errors;
using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Clients;

/// <summary>
/// What one client takes, and whether it may take more. Behind a lock of its own that is held for a moment. Tokens and dollars are counted when a request
/// settles; until then an estimate stands for each that runs, so that many at once do not all fit into the same rest.
/// </summary>
/// <remarks>
/// Not the limiters of System.Threading.RateLimiting: they take the time from a stopwatch of their own, so no test could move it, and none of them knows
/// both when a refused request would fit and how much is left until when, which the client's headers and <c>Retry-After</c> are to say.
/// </remarks>
public sealed class ClientMeter(string client)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Queue<DateTimeOffset> _begun = [];
    private Sum<long> _tokens;
    private Sum<decimal> _dollars;
    private int _running;
    private ClientParts? _parts;

    /// <summary>Takes over what the ledger says of the day and the month of <paramref name="now"/>.</summary>
    public void Restore(long tokensToday, decimal dollarsThisMonth, DateTimeOffset now)
    {
        lock (_gate)
        {
            Turn(now);
            _tokens.Booked += tokensToday;
            _dollars.Booked += dollarsThisMonth;
        }
    }

    /// <summary>Counts a request in; what it says when a limit does not allow it is for the client.</summary>
    /// <param name="limits">Those in force.</param>
    /// <param name="estimate">What it will take at least.</param>
    /// <param name="now">Local time: days and months are those of its offset.</param>
    /// <param name="admission">To be settled once; null when the request was refused.</param>
    public ProxyError? TryEnter(ClientLimits limits, ClientTake estimate, DateTimeOffset now, out ClientAdmission? admission)
    {
        ArgumentNullException.ThrowIfNull(limits);
        lock (_gate)
        {
            Turn(now);
            admission = null;
            if (RefuseForBudget(limits, now) is { } spent) return spent;
            if (RefuseForRate(limits, now) is { } refused) return refused;
            // Without a limit nobody asks for these times, and there may be any number of them.
            if (limits.RequestsPerMinute is not null) _begun.Enqueue(now);
            _running++;
            _tokens.Reserved += estimate.Tokens;
            _dollars.Reserved += estimate.Dollars;
            admission = new ClientAdmission(this, estimate);
            return null;
        }
    }

    /// <summary>
    /// One of several replicas asks for its parts of the limits: what there is news of, or <paramref name="all"/>. What was spent is told also where there is no
    /// limit, since one may be set at any time.
    /// </summary>
    /// <param name="replica">Who asks.</param>
    /// <param name="live">How many replicas there are.</param>
    /// <param name="limits">Those in force.</param>
    /// <param name="now">As in <see cref="TryEnter"/>.</param>
    /// <param name="all">Also what has not changed.</param>
    public IReadOnlyList<PartQuestion> AskForParts(string replica, int live, ClientLimits limits, DateTimeOffset now, bool all)
    {
        ArgumentNullException.ThrowIfNull(limits);
        lock (_gate)
        {
            Turn(now);
            _parts ??= new ClientParts();
            _parts.Live = live;
            ClientUse use = new(_tokens.Booked, _tokens.Reserved, _dollars.Booked, _dollars.Reserved, _begun.Count, _running);
            return _parts.Ask(replica, limits, use, (_tokens.Window, _dollars.Window), now, all);
        }
    }

    /// <summary>Whether the database can be asked for parts, as far as this client has any.</summary>
    public void Reach(bool isThere)
    {
        lock (_gate)
        {
            if (_parts is not null) _parts.IsAlone = !isThere;
        }
    }

    public void TakePart(PartQuestion question, LimitAnswer answer)
    {
        lock (_gate) _parts?.Take(question, answer);
    }

    public ClientStanding Look(ClientLimits limits, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(limits);
        lock (_gate)
        {
            Turn(now);
            return new ClientStanding
            {
                Running = _running,
                RequestsLeft = limits.RequestsPerMinute is { } requests ? (int)Math.Max(0, Math.Min(requests, _parts?.RequestsPerMinute(requests) ?? requests) - _begun.Count) : null,
                RequestsReset = _begun.Count == 0 ? now : _begun.Last() + Minute,
                Tokens = Tokens,
                TokensLeft = limits.TokensPerDay is { } tokens ? Math.Max(0, tokens - Tokens - _tokens.Reserved) : null,
                TokensReset = NextDay(now),
                Dollars = Dollars,
                DollarsReset = NextMonth(now),
            };
        }
    }

    private static DateTimeOffset NextDay(DateTimeOffset now) => new DateTimeOffset(now.Date, now.Offset).AddDays(1);

    private static DateTimeOffset NextMonth(DateTimeOffset now) => new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, now.Offset).AddMonths(1);

    internal void Settle(ClientTake estimate, ClientTake taken, DateTimeOffset now)
    {
        lock (_gate)
        {
            Turn(now);
            _running--;
            _tokens.Reserved -= estimate.Tokens;
            _tokens.Booked += taken.Tokens;
            _dollars.Reserved -= estimate.Dollars;
            _dollars.Booked += taken.Dollars;
        }
    }

    /// <summary>Those of the whole fleet, as far as they are known here.</summary>
    private long Tokens => _tokens.Booked + (_parts?.Tokens.Others ?? 0);

    private decimal Dollars => _dollars.Booked + (_parts is null ? 0 : _parts.Dollars.Others / ClientParts.Nano);

    private ProxyError? RefuseForBudget(ClientLimits limits, DateTimeOffset now)
    {
        if (limits.TokensPerDay is { } tokens && Tokens + _tokens.Reserved >= tokens)
            return OwnErrors.ClientLimit("tokensPerDay", $"'{client}' has used its {tokens} tokens of this day", NextDay(now) - now);
        if (limits.UsdPerMonth is { } dollars && Dollars + _dollars.Reserved >= dollars)
            return OwnErrors.ClientLimit("usdPerMonth", $"'{client}' has used its {dollars} US dollars of this month", NextMonth(now) - now);
        if (_parts is null) return null;
        if (limits.TokensPerDay is { } all && _tokens.Booked + _tokens.Reserved >= _parts.TokensPerDay(all))
            return OwnErrors.ClientLimit("tokensPerDay", $"'{client}' has used the part of its {all} tokens of this day that this replica holds, which asks for more", ClientParts.ComesWithin);
        if (limits.UsdPerMonth is { } sum && ClientParts.ToNano(_dollars.Booked + _dollars.Reserved) >= _parts.NanoDollarsPerMonth(sum))
            return OwnErrors.ClientLimit("usdPerMonth", $"'{client}' has used the part of its {sum} US dollars of this month that this replica holds, which asks for more", ClientParts.ComesWithin);
        return null;
    }

    private ProxyError? RefuseForRate(ClientLimits limits, DateTimeOffset now)
    {
        if (limits.Concurrent is { } concurrent && _running >= (_parts?.Concurrent(concurrent) ?? concurrent))
        {
            _parts?.NoteRefusal(isRate: false, now);
            return OwnErrors.ClientLimit("concurrent", $"'{client}' has {_running} requests running{Here} and may have {concurrent}", TimeSpan.FromSeconds(1));
        }

        if (limits.RequestsPerMinute is not { } requests) return null;
        int may = (int)Math.Min(requests, _parts?.RequestsPerMinute(requests) ?? requests);
        if (_begun.Count < may) return null;
        _parts?.NoteRefusal(isRate: true, now);
        // A part may grow before the first of its own requests is a minute old.
        TimeSpan wait = may < requests ? ClientParts.ComesWithin : _begun.ElementAt(_begun.Count - requests) + Minute - now;
        return OwnErrors.ClientLimit("requestsPerMinute", $"'{client}' has begun {_begun.Count} requests within a minute{Here} and may begin {requests}", wait);
    }

    private string Here => _parts is null ? "" : " at this replica of several";

    /// <summary>Lets go what is older than its window.</summary>
    private void Turn(DateTimeOffset now)
    {
        while (_begun.TryPeek(out DateTimeOffset first) && first + Minute <= now) _begun.Dequeue();
        // By the calendar and not by hours: a day on which the clocks change is one day.
        if (_tokens.Turn(DateOnly.FromDateTime(now.DateTime).DayNumber)) _parts?.TurnDay();
        if (_dollars.Turn((now.Year * 12) + now.Month)) _parts?.TurnMonth();
    }

    private struct Sum<T>
        where T : struct
    {
        private int _window;

        /// <summary>Of the window that runs.</summary>
        public T Booked;

        /// <summary>For requests that run; they are booked in whatever window they end.</summary>
        public T Reserved;

        public readonly int Window => _window;

        /// <summary>True when another window began.</summary>
        public bool Turn(int window)
        {
            // A clock that goes back opens no window anew.
            if (window <= _window) return false;
            _window = window;
            Booked = default;
            return true;
        }
    }
}

/// <summary>What a request takes of its client's budgets.</summary>
public readonly record struct ClientTake(long Tokens, decimal Dollars);

/// <summary>A request that was counted in. It is settled once, whatever happens; settling again does nothing.</summary>
public sealed class ClientAdmission
{
    private readonly ClientMeter _meter;
    private readonly ClientTake _estimate;
    private int _settled;

    internal ClientAdmission(ClientMeter meter, ClientTake estimate)
    {
        _meter = meter;
        _estimate = estimate;
    }

    /// <param name="taken">What was counted in the end; null when nobody told, so that the estimate stands.</param>
    /// <param name="now">As in <see cref="ClientMeter.TryEnter"/>.</param>
    public void Settle(ClientTake? taken, DateTimeOffset now)
    {
        if (Interlocked.Exchange(ref _settled, 1) == 0) _meter.Settle(_estimate, taken ?? _estimate, now);
    }
}

/// <summary>What a client has taken and what is left to it; null where there is no limit.</summary>
public sealed record ClientStanding
{
    public int Running { get; init; }

    public int? RequestsLeft { get; init; }

    /// <summary>When all of its requests are there again, if it begins none.</summary>
    public DateTimeOffset RequestsReset { get; init; }

    public long Tokens { get; init; }

    public long? TokensLeft { get; init; }

    public DateTimeOffset TokensReset { get; init; }

    public decimal Dollars { get; init; }

    public DateTimeOffset DollarsReset { get; init; }
}
