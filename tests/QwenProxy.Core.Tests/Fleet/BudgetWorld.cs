using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Tests.Fleet;

/// <summary>
/// A fleet that spends one budget, with a database and a network between that lose, double and delay. One seed gives one history. Nothing in it waits and
/// no clock but the database's is ever looked at.
/// </summary>
internal sealed class BudgetWorld(int seed, long limit)
{
    private static readonly TimeSpan s_giveUpAfter = TimeSpan.FromSeconds(15);
    private static readonly DateTimeOffset s_start = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Random _random = new(seed);
    private readonly List<Member> _members = [];
    private readonly List<(Member Member, LimitQuestion Question)> _toDatabase = [];
    private readonly List<(Member Member, LimitQuestion Question, LimitAnswer Answer)> _toReplica = [];
    private readonly Dictionary<string, LimitPart> _parts = [];
    private readonly Dictionary<string, DateTimeOffset> _seen = [];
    private DateTimeOffset _now = s_start;
    private bool _isAway;

    public LimitBook Book { get; private set; } = LimitBook.Empty;

    public long Spent => _members.Sum(m => m.Spent);

    /// <summary>What may be above 104 %: requests that were begun while something was left and took more, and what was spent before a first answer.</summary>
    public long InFlight => _members.Sum(m => Math.Max(0, m.Spent - m.CapSeen));

    public long Parts => _parts.Values.Where(p => !p.IsLost).Sum(p => p.Amount);

    /// <summary>Every replica that has an answer may spend no more than the database has booked for it, whichever messages were lost.</summary>
    public bool IsCovered => _members.TrueForAll(m => !m.Hold.HasAnswer || m.Hold.Cap(0) <= _parts[m.Name].Reported + _parts[m.Name].Amount);

    public long LostParts => _parts.Values.Where(p => p.IsLost).Sum(p => p.Amount);

    public void Step(int most)
    {
        _now += TimeSpan.FromMilliseconds(_random.Next(2000));
        switch (_random.Next(20))
        {
            case 0 when _members.Count < 10: Join(); break;
            case 1 when _random.Next(4) == 0: Pick()?.Die(); break;
            case 2 when _random.Next(3) == 0: Pick()?.Stand(_now + TimeSpan.FromSeconds(_random.Next(60))); break;
            case 3 when _random.Next(4) == 0: _isAway = !_isAway; break;
            case 4: GiveUpTheSilent(); break;
            case < 9: Ask(Pick()); break;
            case < 14: Deliver(); break;
            default:
                Member? spender = Pick();
                for (int i = _random.Next(60); i > 0; i--) Spend(spender, most);
                break;
        }
    }

    /// <summary>Everything works again and one replica is asked for all that is left.</summary>
    public void SpendAll(int most)
    {
        _isAway = false;
        _toDatabase.Clear();
        _toReplica.Clear();
        foreach (Member member in _members) member.Stand(_now);
        Member last = Join();
        for (int round = 0; round < 200; round++)
        {
            _now += TimeSpan.FromSeconds(1);
            if (round % 5 == 0)
            {
                foreach (Member member in _members.Where(m => m.Lives)) Ask(member);
            }

            Ask(last);
            while (_toDatabase.Count > 0) Answer(0);
            while (_toReplica.Count > 0) Hear(0);
            for (int i = 0; i < 60; i++) Spend(last, most);
            GiveUpTheSilent();
        }
    }

    private Member Join()
    {
        Member member = new($"r{_members.Count}");
        _members.Add(member);
        return member;
    }

    private Member? Pick()
    {
        Member[] able = [.. _members.Where(m => m.Lives && m.StandsUntil <= _now)];
        return able.Length == 0 ? null : able[_random.Next(able.Length)];
    }

    private void Spend(Member? member, int most)
    {
        // As the meter does: while anything is left, a request may begin, whatever it will take.
        if (member is null || member.Spent >= member.CapNow(() => BudgetRules.BeforeAsking(limit, Live))) return;
        member.Spent += _random.Next(1, most);
    }

    private void Ask(Member? member)
    {
        if (member is null) return;
        _toDatabase.Add((member, member.Hold.AskBudget(member.Name, limit, member.Spent, 0, _now + member.ClockIsOffBy)));
    }

    private void Deliver()
    {
        bool isQuestion = _toDatabase.Count > 0 && (_toReplica.Count == 0 || _random.Next(2) == 0);
        if (isQuestion && !_isAway) Answer(_random.Next(_toDatabase.Count));
        else if (_toReplica.Count > 0) Hear(_random.Next(_toReplica.Count));
    }

    private void Answer(int index)
    {
        (Member member, LimitQuestion question) = _toDatabase[index];
        bool comesAgain = !_isAway && _random.Next(6) == 0 && _toDatabase.Count < 20;
        if (!comesAgain) _toDatabase.RemoveAt(index);
        if (_random.Next(8) == 0) return;
        _seen[member.Name] = _now;
        (Book, _parts[member.Name], LimitAnswer answer) = LimitRules.AskBudget(Book, _parts.GetValueOrDefault(member.Name, LimitPart.None), question, Live, _now);
        _toReplica.Add((member, question, answer));
    }

    private void Hear(int index)
    {
        (Member member, LimitQuestion question, LimitAnswer answer) = _toReplica[index];
        if (_random.Next(6) != 0) _toReplica.RemoveAt(index);
        if (!member.Lives || member.StandsUntil > _now || _random.Next(8) == 0) return;
        member.Hold.Take(question, answer);
    }

    private int Live => Math.Max(1, _seen.Values.Count(s => s + s_giveUpAfter > _now));

    private void GiveUpTheSilent()
    {
        foreach ((string name, DateTimeOffset seen) in _seen.ToArray())
        {
            if (seen + s_giveUpAfter > _now) continue;
            (Book, _parts[name]) = LimitRules.GiveUp(Book, _parts[name], isBudget: true);
            _seen.Remove(name);
        }
    }

    internal sealed class Member(string name)
    {
        public string Name => name;

        public LimitHold Hold { get; } = new();

        public bool Lives { get; private set; } = true;

        public DateTimeOffset StandsUntil { get; private set; }

        public TimeSpan ClockIsOffBy { get; } = TimeSpan.FromMinutes((name.Length * 7) - 10);

        public long Spent { get; set; }

        /// <summary>The most that any answer allowed.</summary>
        public long CapSeen { get; private set; }

        public long CapNow(Func<long> beforeAsking)
        {
            if (!Hold.HasAnswer) return beforeAsking();
            long cap = Hold.Cap(0);
            CapSeen = Math.Max(CapSeen, cap);
            return cap;
        }

        public void Die() => Lives = false;

        public void Stand(DateTimeOffset until) => StandsUntil = until;
    }
}
