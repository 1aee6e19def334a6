namespace QwenProxy.Core.Tokens;

/// <summary>
/// Merges the bytes of one piece into tokens: always the pair whose merge comes first, and of equals the leftmost. For one caller at a time.
/// </summary>
public sealed class PieceMerger(TokenData data)
{
    /// <summary>
    /// A longer piece is cut here. No text of a person or program has such a piece; without a limit the memory for one would be twenty times a request's size.
    /// A cut costs at most a few tokens more than the true count.
    /// </summary>
    public const int LongestPieceBytes = 65_536;

    /// <summary>Up to this length looking at all pairs is faster than keeping them in order.</summary>
    private const int ShortPieceBytes = 48;

    private readonly int[] _shortTokens = new int[ShortPieceBytes];
    private readonly int[] _shortMade = new int[ShortPieceBytes];
    private LongPiece? _long;

    /// <summary>How many tokens the piece has; appends them to <paramref name="ids"/> where given.</summary>
    public int Merge(ReadOnlySpan<byte> piece, List<int>? ids)
    {
        int count = 0;
        while (piece.Length > LongestPieceBytes)
        {
            count += MergeWhole(piece[..LongestPieceBytes], ids);
            piece = piece[LongestPieceBytes..];
        }

        return count + MergeWhole(piece, ids);
    }

    private int MergeWhole(ReadOnlySpan<byte> piece, List<int>? ids)
    {
        if (piece.Length > ShortPieceBytes) return (_long ??= new LongPiece(data)).Merge(piece, ids);
        int count = piece.Length;
        Span<int> tokens = _shortTokens;
        Span<int> made = _shortMade;
        for (int i = 0; i < count; i++) tokens[i] = data.Bytes[piece[i]];
        for (int i = 0; i + 1 < count; i++) made[i] = data.Merges.Find(tokens[i], tokens[i + 1]);
        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i < count - 1; i++)
            {
                if (made[i] < made[best]) best = i;
            }

            if (made[best] == MergeTable.None) break;
            tokens[best] = made[best];
            tokens[(best + 2)..count].CopyTo(tokens[(best + 1)..]);
            if (best + 2 < count) made[(best + 2)..(count - 1)].CopyTo(made[(best + 1)..]);
            count--;
            if (best + 1 < count) made[best] = data.Merges.Find(tokens[best], tokens[best + 1]);
            if (best > 0) made[best - 1] = data.Merges.Find(tokens[best - 1], tokens[best]);
        }

        ids?.AddRange(tokens[..count]);
        return count;
    }
}

/// <summary>The same for long pieces: a chain of tokens and the possible merges in order, so that n bytes cost n log n steps.</summary>
internal sealed class LongPiece(TokenData data)
{
    private readonly PriorityQueue<int, long> _merges = new();
    private int[] _tokens = [];
    private int[] _next = [];
    private int[] _previous = [];

    public int Merge(ReadOnlySpan<byte> piece, List<int>? ids)
    {
        Fill(piece);
        int count = piece.Length;
        while (_merges.TryDequeue(out int left, out long order))
        {
            // A merge that was possible when it was noted may be no more: a neighbour has been merged since.
            int right = _tokens[left] < 0 ? -1 : _next[left];
            if (right < 0 || data.Merges.Find(_tokens[left], _tokens[right]) != (int)(order >> 32)) continue;
            _tokens[left] = (int)(order >> 32);
            _tokens[right] = -1;
            _next[left] = _next[right];
            if (_next[left] >= 0) _previous[_next[left]] = left;
            count--;
            Note(_previous[left]);
            Note(left);
        }

        for (int i = 0; ids is not null && i >= 0; i = _next[i]) ids.Add(_tokens[i]);
        return count;
    }

    private void Fill(ReadOnlySpan<byte> piece)
    {
        if (_tokens.Length < piece.Length)
        {
            _tokens = new int[piece.Length];
            _next = new int[piece.Length];
            _previous = new int[piece.Length];
        }

        for (int i = 0; i < piece.Length; i++)
        {
            _tokens[i] = data.Bytes[piece[i]];
            _next[i] = i + 1 < piece.Length ? i + 1 : -1;
            _previous[i] = i - 1;
        }

        for (int i = 0; i < piece.Length; i++) Note(i);
    }

    /// <summary>Notes the merge of a token and the next one, if there is one.</summary>
    private void Note(int left)
    {
        if (left < 0 || _next[left] < 0) return;
        int made = data.Merges.Find(_tokens[left], _tokens[_next[left]]);
        if (made != MergeTable.None) _merges.Enqueue(left, ((long)made << 32) | (uint)left);
    }
}
