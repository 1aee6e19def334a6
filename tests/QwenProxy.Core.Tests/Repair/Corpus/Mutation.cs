using System.Text;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>Spoils a stream's bytes in the ways networks, gateways and bugs do, from a seed.</summary>
internal static class Mutation
{
    private static readonly string[] Inserts =
    [
        "\n", "\r", "\r\n\r\n", "\"", "{", "}", "[", "]", "\\", "\\ud83d", "null", "data: ", "data:[DONE]\n\n", "id:1\n", ":HTTP_STATUS/429\n",
        "event:error\n",
        "\"content\":\"x\"", "\"index\":-5", "\"index\":99999999999", "\"usage\":{\"completion_tokens\":3}", "\"logprobs\":{\"content\":[]}",
        "data: {}\n\n",
        "data: {\"choices\":[]}\n\n", "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\n",
        "data: {\"error\":{\"message\":\"m\"}}\n\n", "\uFEFF",
    ];

    public static byte[] Mutate(string stream, Random random)
    {
        List<byte> bytes = [.. Encoding.UTF8.GetBytes(stream)];
        for (int edits = random.Next(1, 8); edits > 0 && bytes.Count > 2; edits--)
        {
            int at = random.Next(bytes.Count), length = Math.Min(random.Next(1, 300), bytes.Count - at);
            switch (random.Next(6))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes.RemoveRange(at, Math.Min(length, 5)); break;
                case 2: bytes.RemoveRange(at, length); break;
                case 3: bytes.InsertRange(at, Encoding.UTF8.GetBytes(Inserts[random.Next(Inserts.Length)])); break;
                case 4: bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, length)); break;
                default: bytes.RemoveRange(at, bytes.Count - at); break;
            }
        }

        return [.. bytes];
    }
}
