using Npgsql;
using QwenProxy.Core.Accounts;
using QwenProxy.Storage;

namespace QwenProxy.Tests.Storage;

public sealed class DatabaseAddressTests
{
    [Theory]
    [InlineData("postgres://me:p%40ss@db.example.com/fleet", "db.example.com", 5432, "fleet", "me", "p@ss", SslMode.VerifyFull)]
    [InlineData("postgresql://me@db.example.com:6432/fleet?sslmode=require", "db.example.com", 6432, "fleet", "me", null, SslMode.Require)]
    [InlineData("postgres://me:a:b@127.0.0.1/fleet", "127.0.0.1", 5432, "fleet", "me", "a:b", SslMode.Prefer)]
    [InlineData("postgres://me@[::1]:5433/fleet", "::1", 5433, "fleet", "me", null, SslMode.Prefer)]
    [InlineData("postgres://me@[2001:db8::1]/fleet", "2001:db8::1", 5432, "fleet", "me", null, SslMode.VerifyFull)]
    [InlineData("postgres:///fleet?host=/run/postgresql&user=me", "/run/postgresql", 5432, "fleet", "me", null, SslMode.Prefer)]
    [InlineData("postgres://%2Frun%2Fpostgresql/fleet", "/run/postgresql", 5432, "fleet", null, null, SslMode.Prefer)]
    [InlineData("postgres://me@localhost.example.com/fleet", "localhost.example.com", 5432, "fleet", "me", null, SslMode.VerifyFull)]
    [InlineData("postgres://me@10.0.0.5/fleet?sslmode=disable", "10.0.0.5", 5432, "fleet", "me", null, SslMode.Disable)]
    public void Url_IsReadAsLibpqReadsIt_AndVerifiesWhatLeavesTheMachine(string url, string host, int port, string name, string? user, string? password, SslMode mode)
    {
        DatabaseAddress address = DatabaseAddress.Parse(new Secret(url), out string? fault)!;
        Assert.Null(fault);
        NpgsqlConnectionStringBuilder settings = new(address.ConnectionString);
        Assert.Equal((host, port, name, user, password, mode), (settings.Host, settings.Port, settings.Database, settings.Username, settings.Password, settings.SslMode));
        Assert.Equal($"{host}:{port}/{name}", address.ToString());
    }

    [Theory]
    [InlineData("mysql://me:hunter2@db/fleet", "it does not begin with postgres://")]
    [InlineData("postgres://me:hunter2@/fleet", "it names no host")]
    [InlineData("postgres://me:hunter2@db", "it names no database after the host")]
    [InlineData("postgres://me:hunter2@db:port/fleet", "its port is no number from 1 to 65535")]
    [InlineData("postgres://me:hunter2@a,b/fleet", "it names several hosts; give the one name under which the server that writes is found")]
    [InlineData("postgres://me:hunter2@db/fleet?sslmode=maybe", "its sslmode is none of disable, allow, prefer, require, verify-ca, verify-full")]
    [InlineData("postgres://me:hunter2@db/fleet?options=-csearch_path%3Dx", "its parameter options is not known here; known are host, port, user, password, sslmode, sslrootcert, sslcert, sslkey, application_name")]
    public void WhatIsNoSuchUrl_IsRefusedWithTheReasonAndWithoutThePassword(string url, string reason)
    {
        Assert.Null(DatabaseAddress.Parse(new Secret(url), out string? fault));
        Assert.Equal(reason, fault);
    }

    [Fact]
    public void Certificates_AreTakenFromTheUrl()
    {
        DatabaseAddress address = DatabaseAddress.Parse(new Secret("postgres://me@db.example.com/fleet?sslrootcert=/etc/ca.pem&sslcert=/etc/me.pem&sslkey=/etc/me.key"), out _)!;
        NpgsqlConnectionStringBuilder settings = new(address.ConnectionString);
        Assert.Equal(("/etc/ca.pem", "/etc/me.pem", "/etc/me.key"), (settings.RootCertificate, settings.SslCertificate, settings.SslKey));
    }
}
