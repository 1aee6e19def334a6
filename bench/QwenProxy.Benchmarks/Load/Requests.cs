using System.Text;

namespace QwenProxy.Benchmarks.Load;

/// <summary>A request as bytes on the wire, for a scenario of the simulator.</summary>
internal static class Requests
{
    /// <param name="api">What it is written in.</param>
    /// <param name="model">Its name chooses the scenario: what comes after <c>sim-</c>.</param>
    /// <param name="stream">Asks for a stream.</param>
    /// <param name="bodyBytes">The body is filled up to about this size with a conversation.</param>
    /// <param name="headers">More lines for the head, with their ends.</param>
    public static byte[] Of(Api api, string model, bool stream, int bodyBytes, string headers = "")
    {
        const string system = "You are a careful assistant.";
        (string path, string settings, string history) = api switch
        {
            Api.Messages => ("/v1/messages", $"\"max_tokens\":8192,\"system\":\"{system}\"", "messages"),
            Api.Responses => ("/v1/responses", $"\"store\":false,\"instructions\":\"{system}\"", "input"),
            _ => ("/v1/chat/completions", "\"stream_options\":{\"include_usage\":true}", "messages"),
        };
        if (!stream && api == Api.Chat) settings = "\"user\":\"benchmark\"";
        StringBuilder body = new();
        body.Append($"{{\"model\":\"{model}\",\"stream\":{(stream ? "true" : "false")},{settings},\"temperature\":0.7,\"{history}\":[");
        if (api == Api.Chat) body.Append($"{{\"role\":\"system\",\"content\":\"{system}\"}},");
        for (int turn = 0; body.Length < bodyBytes - 400; turn++)
        {
            string role = turn % 2 == 0 ? "user" : "assistant";
            body.Append($"{{\"role\":\"{role}\",\"content\":\"{Words(turn, Math.Min(4000, bodyBytes - body.Length - 200))}\"}},");
        }

        body.Append("{\"role\":\"user\",\"content\":\"Go on.\"}]}");
        string text = body.ToString();
        return Encoding.ASCII.GetBytes(
            $"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: benchmark/1.0\r\nAuthorization: Bearer sk-client\r\n"
            + $"{headers}Content-Type: application/json\r\nContent-Length: {text.Length}\r\n\r\n{text}");
    }

    /// <summary>Prose with what a program's text has in JSON: line ends and quotes that are escaped.</summary>
    private static string Words(int seed, int length)
    {
        StringBuilder text = new(length + 64);
        for (int i = 0; text.Length < length; i++)
        {
            text.Append($"word{seed}-{i} = call(\\\"argument {i * 7 % 13}\\\", other); ");
            if (i % 3 == 2) text.Append("\\n    ");
        }

        return text.ToString();
    }
}
