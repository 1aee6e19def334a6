using System.Buffers;
using System.Text;

namespace QwenProxy.Core.Tokens;

/// <summary>
/// Unicode's composed form (NFC), which texts are brought into before they are cut. Our own since the framework leaves texts as they are where
/// globalization is invariant. The data: decompositions (count, then character, length and parts of each), pairs that compose (count, then the result
/// and the two), marks (count, then character and the rank of its combining class). Hangul is arithmetic.
/// </summary>
public sealed class Composition
{
    private const int FirstSyllable = 0xAC00;
    private const int Syllables = 11_172;
    private const int FirstLead = 0x1100;
    private const int Leads = 19;
    private const int FirstVowel = 0x1161;
    private const int Vowels = 21;
    private const int BeforeTail = 0x11A7;
    private const int Tails = 28;

    /// <summary>No character from here on is changed.</summary>
    private const int Limit = 0x30000;

    private readonly Dictionary<int, int[]> _decompositions = [];
    private readonly Dictionary<(int First, int Second), int> _pairs = [];
    private readonly Dictionary<int, int> _classes = [];

    /// <summary>A bit for each character that makes a text worth composing: marks, second ones of pairs, those that decompose and stay so.</summary>
    private readonly ulong[] _unsettled = new ulong[Limit / 64];

    public Composition(ref NumberReader numbers)
    {
        for (int n = numbers.Next(); n > 0; n--)
        {
            int character = numbers.Next();
            _decompositions[character] = numbers.NextMany(numbers.Next());
        }

        HashSet<int> composed = [];
        for (int n = numbers.Next(); n > 0; n--)
        {
            int character = numbers.Next();
            composed.Add(character);
            int first = numbers.Next();
            int second = numbers.Next();
            _pairs[(first, second)] = character;
            Mark(second);
        }

        for (int n = numbers.Next(); n > 0; n--)
        {
            int character = numbers.Next();
            _classes[character] = numbers.Next();
            Mark(character);
        }

        foreach (int character in _decompositions.Keys)
        {
            if (!composed.Contains(character)) Mark(character);
        }

        for (int i = 0; i < Vowels; i++) Mark(FirstVowel + i);
        for (int i = 1; i < Tails; i++) Mark(BeforeTail + i);
    }

    /// <summary>True when nothing in valid UTF-8 could be changed; false does not mean that something will be.</summary>
    public bool IsComposed(ReadOnlySpan<byte> utf8)
    {
        while (true)
        {
            // U+0300, the first character in question, is CC 80.
            int at = utf8.IndexOfAnyInRange((byte)0xCC, (byte)0xFF);
            if (at < 0) return true;
            Rune.DecodeFromUtf8(utf8[at..], out Rune rune, out int size);
            if (rune.Value < Limit && (_unsettled[rune.Value >> 6] >> (rune.Value & 63) & 1) != 0) return false;
            utf8 = utf8[(at + size)..];
        }
    }

    /// <summary>Appends the composed form of valid UTF-8.</summary>
    public void Compose(ReadOnlySpan<byte> utf8, IBufferWriter<byte> output)
    {
        // From one starter to the next: what stands between them is ordered and composed by itself.
        List<(int Character, int Class)> run = [];
        while (!utf8.IsEmpty)
        {
            Rune.DecodeFromUtf8(utf8, out Rune rune, out int size);
            utf8 = utf8[size..];
            foreach (int part in Decompose(rune.Value)) Append(part, run, output);
        }

        ComposeRun(run);
        Write(run, output);
    }

    /// <summary>Adds a character to the run, which holds a starter and its marks, or ends the run when the character cannot join it.</summary>
    private void Append(int character, List<(int Character, int Class)> run, IBufferWriter<byte> output)
    {
        int rank = _classes.GetValueOrDefault(character);
        if (rank == 0)
        {
            ComposeRun(run);
            if (run.Count == 1 && Pair(run[0].Character, character) is { } joined)
            {
                run[0] = (joined, 0);
                return;
            }

            Write(run, output);
            run.Clear();
        }

        run.Add((character, rank));
    }

    private static void Write(List<(int Character, int Class)> run, IBufferWriter<byte> output)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach ((int character, _) in run) output.Write(bytes[..new Rune(character).EncodeToUtf8(bytes)]);
    }

    /// <summary>
    /// Puts the marks in order of their classes and joins the starter with each that has none of its own class left before it. Once for each run: the
    /// starter it makes must not be tried on marks that were passed over.
    /// </summary>
    private void ComposeRun(List<(int Character, int Class)> run)
    {
        if (run.Count < 2) return;
        (int Character, int Class)[] ordered = [.. run.OrderBy(c => c.Class)];
        run.Clear();
        run.Add(ordered[0]);
        foreach ((int character, int rank) in ordered.AsSpan(1))
        {
            bool blocked = run[0].Class != 0 || (run.Count > 1 && run[^1].Class == rank);
            if (!blocked && Pair(run[0].Character, character) is { } joined) run[0] = (joined, 0);
            else run.Add((character, rank));
        }
    }

    private int[] Decompose(int character)
    {
        int syllable = character - FirstSyllable;
        if (syllable is < 0 or >= Syllables) return _decompositions.TryGetValue(character, out int[]? parts) ? parts : [character];
        int lead = FirstLead + (syllable / (Vowels * Tails));
        int vowel = FirstVowel + (syllable / Tails % Vowels);
        return syllable % Tails == 0 ? [lead, vowel] : [lead, vowel, BeforeTail + (syllable % Tails)];
    }

    private int? Pair(int first, int second)
    {
        int lead = first - FirstLead;
        int vowel = second - FirstVowel;
        if (lead is >= 0 and < Leads && vowel is >= 0 and < Vowels) return FirstSyllable + (((lead * Vowels) + vowel) * Tails);
        int syllable = first - FirstSyllable;
        int tail = second - BeforeTail;
        if (syllable is >= 0 and < Syllables && syllable % Tails == 0 && tail is > 0 and < Tails) return first + tail;
        return _pairs.TryGetValue((first, second), out int joined) ? joined : null;
    }

    private void Mark(int character) => _unsettled[character >> 6] |= 1UL << (character & 63);
}
