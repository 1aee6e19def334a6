using System.Numerics;

namespace QwenProxy.Core.Tokens;

/// <summary>
/// Which two tokens become which one. A flat table of open addresses with both ids and the result in one word: 2 MB for 151,387 merges, where a
/// dictionary takes five times as much.
/// </summary>
public sealed class MergeTable
{
    /// <summary>No merge; greater than every token, so that the least of several results is the merge that goes first.</summary>
    public const int None = int.MaxValue;

    private const int IdBits = 18;
    private const ulong IdMask = (1UL << IdBits) - 1;
    private const int FirstMerged = 256;

    private readonly ulong[] _slots;
    private readonly int _shift;

    /// <summary>Merge k makes the token 256 + k of left[k] and right[k].</summary>
    public MergeTable(ReadOnlySpan<int> left, ReadOnlySpan<int> right)
    {
        int capacity = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(4, left.Length * 3 / 2));
        _slots = new ulong[capacity];
        _shift = 64 - BitOperations.Log2((uint)capacity);
        for (int k = 0; k < left.Length; k++)
        {
            int made = FirstMerged + k;
            if (left[k] >= made || right[k] >= made || made > (int)IdMask) throw new InvalidDataException("A merge of the tokenizer's data uses a later token.");
            Add(KeyOf(left[k], right[k]), (ulong)made);
        }
    }

    /// <summary>The token the two make, <see cref="None"/> when they make none. Of two merges the one with the smaller result goes first.</summary>
    public int Find(int left, int right)
    {
        ulong key = KeyOf(left, right);
        for (int at = SlotOf(key); _slots[at] != 0; at = (at + 1) & (_slots.Length - 1))
        {
            if (_slots[at] >> IdBits == key) return (int)(_slots[at] & IdMask);
        }

        return None;
    }

    private void Add(ulong key, ulong made)
    {
        int at = SlotOf(key);
        while (_slots[at] != 0) at = (at + 1) & (_slots.Length - 1);
        _slots[at] = (key << IdBits) | made;
    }

    private static ulong KeyOf(int left, int right) => ((ulong)(uint)left << IdBits) | (uint)right;

    private int SlotOf(ulong key) => (int)((key * 0x9E3779B97F4A7C15) >> _shift);
}
