using System.Text;

namespace QwenProxy.Simulator.Answers;

/// <summary>
/// The prose the simulated model speaks. It holds what streams get wrong: code with indentation, CJK, emoji, repeats, tables, escapes.
/// </summary>
internal static class SampleTexts
{
    public const string Prose =
        """
        The ferry leaves at seven. **Seven sharp**, says the board, and the gulls agree: ha ha ha.

        渡轮七点出发，海面很平静。哈哈哈哈哈，孩子们在码头上笑。船长说：“再等一等。” The tide table reads 1833, 2012 and 6666666666. 🚢🌊🌊👩‍👩‍👧‍👦

        ```python
        def depart(hour):
            if hour >= 7:
                if hour == 7:
                    return "on time"
                return "late"
            return "wait"
        ```

        | quay | boats |
        |------|-------|
        | east | 1     |
        | west | 1     |

        A path such as C:\harbour\log.txt, a "quoted" word, a tab	here, and the committee's password policy close the notes.
        """;

    public const string Reasoning =
        """
        The question is about the harbour, so first the timetable. 先看时间表，再看天气。
        The boat leaves at seven; a short table and a few lines of code will show it. 🤔
        """;

    public const string Json =
        """{"boats":[{"name":"海鸥","quay":"east","seats":12},{"name":"Tern","quay":"west","seats":12}],"departs":"07:00","late":false}""";

    /// <summary>Numbered sentences, no two alike, at least <paramref name="characters"/> long in all.</summary>
    public static string Long(int characters)
    {
        StringBuilder text = new(characters + 128);
        for (int i = 1; text.Length < characters; i++)
        {
            text.Append(i).Append(". Boat ").Append(i * 7919 % 1009).Append(" passes buoy ").Append(i * 104729 % 997)
                .Append(i % 3 == 0 ? "，天气晴朗。\n" : i % 5 == 0 ? " and sounds its horn twice.\n\n" : " in light wind. ");
        }

        return text.ToString();
    }
}
