using System.Buffers.Binary;
using System.Text.Json;
using QwenProxy.Simulator.Replies;
using QwenProxy.Simulator.Requests;

namespace QwenProxy.Simulator.Chat;

/// <summary>Embeddings that depend on the text alone, as numbers or as base64 of little-endian floats.</summary>
internal static class EmbeddingWriter
{
    public static byte[] Write(ModelCall call, string uuid)
    {
        List<string> inputs = Inputs(call.Input);
        using JsonBuilder json = new();
        json.Raw("{\"data\":["u8);
        for (int i = 0; i < inputs.Count; i++)
        {
            if (i > 0) json.Raw(","u8);
            json.Raw("{\"embedding\":"u8);
            Vector(json, Vector(inputs[i], call.Dimensions), call.EncodingFormat == "base64");
            json.Raw(",\"index\":"u8).Number(i).Raw(",\"object\":\"embedding\"}"u8);
        }

        json.Raw("],\"model\":"u8).Text(call.Model).Raw(",\"object\":\"list\",\"usage\":{\"prompt_tokens\":"u8).Number(call.PromptTokens);
        return json.Raw(",\"total_tokens\":"u8).Number(call.PromptTokens).Raw("},\"id\":"u8).Text(uuid).Raw("}"u8).ToArray();
    }

    /// <summary>A vector of length one whose numbers follow from the text.</summary>
    public static float[] Vector(string text, int dimensions)
    {
        uint state = 2166136261;
        foreach (char c in text) state = (state ^ c) * 16777619;
        float[] vector = new float[dimensions];
        double sum = 0;
        for (int i = 0; i < dimensions; i++)
        {
            state = state * 1664525 + 1013904223;
            vector[i] = (state >> 8) / 8388608f - 1;
            sum += vector[i] * vector[i];
        }

        float length = (float)Math.Sqrt(sum);
        for (int i = 0; i < dimensions; i++) vector[i] /= length;
        return vector;
    }

    private static void Vector(JsonBuilder json, float[] vector, bool base64)
    {
        if (base64)
        {
            byte[] bytes = new byte[vector.Length * 4];
            for (int i = 0; i < vector.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * 4), vector[i]);
            json.Text(Convert.ToBase64String(bytes));
            return;
        }

        json.Raw("["u8);
        for (int i = 0; i < vector.Length; i++)
        {
            if (i > 0) json.Raw(","u8);
            json.Raw(vector[i].ToString("R"));
        }

        json.Raw("]"u8);
    }

    private static List<string> Inputs(ReadOnlyMemory<byte> input)
    {
        if (input.IsEmpty) return [""];
        using JsonDocument document = JsonDocument.Parse(input);
        JsonElement root = document.RootElement;
        if (root.ValueKind == JsonValueKind.String) return [root.GetString()!];
        if (root.ValueKind != JsonValueKind.Array) return [""];
        // A list of numbers is one text that is already cut into tokens; a list of lists is several.
        if (root.GetArrayLength() > 0 && root[0].ValueKind == JsonValueKind.Number) return [root.GetRawText()];
        return [.. root.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : item.GetRawText())];
    }
}
