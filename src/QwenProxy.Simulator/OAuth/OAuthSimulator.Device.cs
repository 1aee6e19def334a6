using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace QwenProxy.Simulator.OAuth;

/// <summary>The device half: codes that a person confirms, and polls that wait for it.</summary>
public sealed partial class OAuthSimulator
{
    private readonly Dictionary<string, DeviceGrantState> _devices = new(StringComparer.Ordinal);
    private Uri _baseUrl = new("http://localhost");

    /// <summary>The address that verification links point to.</summary>
    public Uri BaseUrl
    {
        get => _baseUrl;
        set => _baseUrl = value;
    }

    /// <summary>The person says yes. False when there is no such code.</summary>
    public bool Confirm(string userCode) => Decide(userCode, DeviceDecision.Confirmed);

    /// <summary>The person says no. False when there is no such code.</summary>
    public bool Deny(string userCode) => Decide(userCode, DeviceDecision.Denied);

    private bool Decide(string userCode, DeviceDecision decision)
    {
        lock (_gate)
        {
            DeviceGrantState? device = _devices.Values.FirstOrDefault(d => d.UserCode.Equals(userCode, StringComparison.OrdinalIgnoreCase));
            if (device is not null) device.Decision = decision;
            return device is not null;
        }
    }

    private OAuthAnswer StartDevice(IReadOnlyDictionary<string, string> form)
    {
        if (form.GetValueOrDefault("code_challenge_method") != "S256" || form.GetValueOrDefault("code_challenge", "").Length != 43)
        {
            return Error(400, "invalid_request", "code_challenge with S256 is required");
        }

        int number = ++_issued;
        string deviceCode = string.Create(CultureInfo.InvariantCulture, $"sim-device-{number:D6}");
        string userCode = string.Create(CultureInfo.InvariantCulture, $"SIM-{number:D4}");
        _devices[deviceCode] = new DeviceGrantState(userCode, form["code_challenge"], time.GetUtcNow() + Options.DeviceCodeLifetime);
        string link = new Uri(_baseUrl, "/authorize").AbsoluteUri;
        return new OAuthAnswer(200, Write(json =>
        {
            json.WriteString("device_code", deviceCode);
            json.WriteString("user_code", userCode);
            json.WriteString("verification_uri", link);
            json.WriteString("verification_uri_complete", $"{link}?user_code={userCode}&client=qwen-code");
            json.WriteNumber("expires_in", (long)Options.DeviceCodeLifetime.TotalSeconds);
            if (Options.IntervalSeconds is { } interval) json.WriteNumber("interval", interval);
        }));
    }

    private OAuthAnswer Poll(IReadOnlyDictionary<string, string> form)
    {
        string code = form.GetValueOrDefault("device_code", "");
        if (!_devices.TryGetValue(code, out DeviceGrantState? device) || device.Expires <= time.GetUtcNow()) return Error(400, "expired_token");
        bool proven = ProvesChallenge(form.GetValueOrDefault("code_verifier", ""), device.Challenge);
        if (!proven) return Error(400, "invalid_grant", "code_verifier does not match");
        device.Polls++;
        if (Options.ConfirmsAfterPolls < device.Polls) device.Decision = DeviceDecision.Confirmed;
        if (device.Decision == DeviceDecision.Denied) return Error(400, "access_denied");
        if (device.Decision == DeviceDecision.Open) return Error(400, "authorization_pending");
        _devices.Remove(code);
        return Tokens(NewTokens(newRefreshToken: true), withResource: true);
    }

    private static bool ProvesChallenge(string verifier, string challenge) =>
        Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier))) == challenge;

    private enum DeviceDecision
    {
        Open,
        Confirmed,
        Denied,
    }

    private sealed class DeviceGrantState(string userCode, string challenge, DateTimeOffset expires)
    {
        public string UserCode { get; } = userCode;

        public string Challenge { get; } = challenge;

        public DateTimeOffset Expires { get; } = expires;

        public int Polls { get; set; }

        public DeviceDecision Decision { get; set; }
    }
}
