using System.Text.Json;
using QRCoder;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>
/// Shows a login to a person (on stderr: link, code, QR code on a terminal, time left) or to a program (<c>--json</c>: one object per line on stdout,
/// with <c>event</c> = prompt, trouble, done or failed). Without a terminal the lines are plain and nothing is redrawn.
/// </summary>
internal sealed class LoginConsole(LoginOptions options, TextWriter output, TextWriter errors) : IDeviceLoginView
{
    private static readonly TimeSpan s_plainEvery = TimeSpan.FromMinutes(1);

    private TimeSpan? _lastShown;
    private bool _lineOpen;

    public void Prompt(DeviceCode device)
    {
        string link = device.VerificationUriComplete;
        bool opened = options.OpensBrowser && options.OpenBrowser(link);
        if (options.Json)
        {
            WriteJson("prompt", json =>
            {
                json.WriteString("verification_uri", device.VerificationUri);
                json.WriteString("verification_uri_complete", link);
                json.WriteString("user_code", device.UserCode);
                json.WriteNumber("expires_in", (long)device.Lifetime.TotalSeconds);
                json.WriteBoolean("browser_opened", opened);
            });
            return;
        }

        errors.WriteLine(opened ? "Your browser should open now. If it does not, open this page:" : "Open this page in a browser, on any device:");
        errors.WriteLine();
        errors.WriteLine($"  {link}");
        errors.WriteLine();
        if (device.UserCode.Length > 0) errors.WriteLine($"and confirm the code  {device.UserCode}");
        if (options.IsTerminal) errors.WriteLine(QrCode(link));
        errors.Flush();
    }

    public void Waiting(TimeSpan left)
    {
        if (options.Json) return;
        string text = $"Waiting for your confirmation, {(int)left.TotalMinutes}:{left.Seconds:00} left";
        if (options.IsTerminal)
        {
            errors.Write($"\r{text} ");
            _lineOpen = true;
        }
        else if (_lastShown is null || _lastShown - left >= s_plainEvery)
        {
            errors.WriteLine(text);
            _lastShown = left;
        }

        errors.Flush();
    }

    public void Trouble(string reason)
    {
        if (options.Json) WriteJson("trouble", json => json.WriteString("reason", reason));
        else Line($"The server could not be asked ({reason}); trying again.");
    }

    public void Done(DeviceLoginResult result)
    {
        if (options.Json)
        {
            WriteJson("done", json =>
            {
                json.WriteString("file", result.SavedTo);
                if (result.ExpiresAt is { } end) json.WriteString("expires_at", end);
            });
        }
        else
        {
            Line($"Signed in. Saved to {result.SavedTo}; a running proxy takes it over within seconds.");
        }
    }

    public void Failed(string reason)
    {
        if (options.Json) WriteJson("failed", json => json.WriteString("reason", reason));
        else Line($"Login failed: {reason}");
    }

    /// <summary>Two rows of modules per line of text, dark on light as scanners expect, quiet zone included.</summary>
    private static string QrCode(string link)
    {
        using QRCodeGenerator generator = new();
        using QRCodeData data = generator.CreateQrCode(link, QRCodeGenerator.ECCLevel.L);
        using AsciiQRCode code = new(data);
        return code.GetGraphicSmall(drawQuietZones: true);
    }

    private void Line(string text)
    {
        if (_lineOpen) errors.WriteLine();
        _lineOpen = false;
        errors.WriteLine(text);
        errors.Flush();
    }

    private void WriteJson(string name, Action<Utf8JsonWriter> members)
    {
        using MemoryStream line = new();
        using (Utf8JsonWriter json = new(line))
        {
            json.WriteStartObject();
            json.WriteString("event", name);
            members(json);
            json.WriteEndObject();
        }

        output.WriteLine(System.Text.Encoding.UTF8.GetString(line.ToArray()));
        output.Flush();
    }
}
