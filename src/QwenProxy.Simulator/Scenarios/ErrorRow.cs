using System.Text;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>In which of its shapes the service words an error.</summary>
internal enum ErrorShape
{
    /// <summary><c>{"error":{…},"request_id":…}</c>, the compatible mode.</summary>
    Nested,

    /// <summary><c>{"code","message","request_id"}</c>, the native API.</summary>
    Flat,

    /// <summary><c>{"error":"text"}</c>.</summary>
    Text,

    /// <summary><c>{"error":{"message","type","param":null,"code":400}}</c> with a number for a code, as vLLM does.</summary>
    Number,

    Html,
    Empty,
}

/// <summary>One error of the service: status, code, message and type as it words them.</summary>
internal sealed record ErrorRow(string Name, int Status, string Code, string Message, string Type = "invalid_request_error",
    ErrorShape Shape = ErrorShape.Nested)
{
    public ReplyPlan Plan(string uuid) => Shape switch
    {
        ErrorShape.Html => ReplyPlan.Whole(Status, "text/html", Encoding.UTF8.GetBytes(
            $"<html>\r\n<head><title>{Status} {Message}</title></head>\r\n<body><center><h1>{Status} {Message}</h1></center></body>\r\n</html>\r\n")),
        ErrorShape.Empty => new ReplyPlan { Status = Status, ContentLength = 0 },
        _ => ReplyPlan.Json(Status, Body(uuid)),
    };

    public byte[] Body(string uuid)
    {
        using JsonBuilder json = new();
        switch (Shape)
        {
            case ErrorShape.Flat:
                json.Raw("{\"code\":"u8).Text(Code).Raw(",\"message\":"u8).Text(Message).Raw(",\"request_id\":"u8).Text(uuid).Raw("}"u8);
                break;
            case ErrorShape.Text:
                json.Raw("{\"error\":"u8).Text(Message).Raw("}"u8);
                break;
            case ErrorShape.Number:
                json.Raw("{\"error\":{\"message\":"u8).Text(Message).Raw(",\"type\":"u8).Text(Type).Raw(",\"param\":null,\"code\":"u8)
                    .Number(Status).Raw("}}"u8);
                break;
            default:
                json.Raw("{\"error\":{\"message\":"u8).Text(Message).Raw(",\"type\":"u8).Text(Type).Raw(",\"param\":null,\"code\":"u8).Text(Code);
                json.Raw("},\"request_id\":"u8).Text(uuid).Raw("}"u8);
                break;
        }

        return json.ToArray();
    }
}
