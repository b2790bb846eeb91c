import { Agent } from 'node:http';
import { PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, expect, it } from 'vitest';
import type { Origin } from '../../lab/aws/control.ts';
import { makeUser, outcome, practice } from './world.ts';

const deny = (Condition: object) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*', Condition }] });
const vpc = { vpc: 'vpc-0a1b2c3d4e5f60718', vpce: 'vpce-1a2b3c4d', ip: '10.0.0.7' } as const;
const service = { BoolIfExists: { 'aws:ViaAWSService': 'false' } };

describe('where a call comes from decides', () => {
  it.each<[string, object, Origin, 'ok' | 'AccessDeniedException']>([
    [
      'an address in a listed network',
      { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '198.51.100.0/24'] } },
      { ip: '198.51.100.7' },
      'ok',
    ],
    [
      'an address in none',
      { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '198.51.100.0/24'] } },
      { ip: '203.0.113.7' },
      'AccessDeniedException',
    ],
    [
      'an IPv6 address in a listed network',
      { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '2001:db8:7::/48'] } },
      { ip: '2001:db8:7::1' },
      'ok',
    ],
    [
      'an IPv6 address beside it',
      { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '2001:db8:7::/48'] } },
      { ip: '2001:db8:8::1' },
      'AccessDeniedException',
    ],
    ['a listed address that is denied', { IpAddress: { 'aws:SourceIp': '203.0.113.7' } }, { ip: '203.0.113.7' }, 'AccessDeniedException'],
    ['a VPC, which has no address', { NotIpAddress: { 'aws:SourceIp': ['10.0.0.0/8'] } }, vpc, 'AccessDeniedException'],
    ['the VPC that is named', { StringNotEquals: { 'aws:SourceVpc': [vpc.vpc] } }, vpc, 'ok'],
    ['another VPC than is named', { StringNotEquals: { 'aws:SourceVpc': ['vpc-00000000'] } }, vpc, 'AccessDeniedException'],
    [
      'the internet, where a VPC is named',
      { StringNotEquals: { 'aws:SourceVpc': [vpc.vpc] } },
      { ip: '198.51.100.7' },
      'AccessDeniedException',
    ],
    ['the endpoint that is named', { StringNotEquals: { 'aws:SourceVpce': [vpc.vpce] } }, vpc, 'ok'],
    ['an address inside a VPC', { NotIpAddress: { 'aws:VpcSourceIp': ['10.0.0.0/8'] } }, vpc, 'ok'],
    [
      'a service on the caller’s behalf',
      { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24'] }, ...service },
      { via: 'athena.amazonaws.com' },
      'ok',
    ],
    ['no service', { NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24'] }, ...service }, { ip: '203.0.113.7' }, 'AccessDeniedException'],
    [
      'a service that is named',
      { 'ForAnyValue:StringEquals': { 'aws:CalledVia': ['athena.amazonaws.com'] } },
      { via: 'athena.amazonaws.com' },
      'AccessDeniedException',
    ],
  ])('%s', async (_what, condition, origin, said) => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.iam.send(new PutUserPolicyCommand({ UserName: 'u', PolicyName: 'where', PolicyDocument: deny(condition) }));
    await lab.ctl.setOrigin('127.0.0.9', origin);
    const there = new SecretsManagerClient({
      endpoint: lab.endpoint,
      region: 'us-east-1',
      credentials: key,
      maxAttempts: 1,
      requestHandler: { httpAgent: new Agent({ localAddress: '127.0.0.9' }) },
    });
    expect(await outcome(there.send(new ListSecretsCommand({})))).toBe(said);
  });

  it('and only who holds the control port says where that is', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const only = deny({ NotIpAddress: { 'aws:SourceIp': ['198.51.100.0/24'] } });
    await lab.iam.send(new PutUserPolicyCommand({ UserName: 'u', PolicyName: 'where', PolicyDocument: only }));
    const client = new SecretsManagerClient({ endpoint: lab.endpoint, region: 'us-east-1', credentials: key, maxAttempts: 1 });
    client.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> };
        for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded']) headers[name] = '198.51.100.7';
        return next(args);
      },
      { step: 'build' },
    );
    expect(await outcome(client.send(new ListSecretsCommand({})))).toBe('AccessDeniedException');
    await expect(lab.ctl.setOrigin('198.51.100.7', { ip: '198.51.100.7' })).rejects.toThrow(/loopback/);
    await expect(lab.ctl.setOrigin('127.0.0.9', { ip: 'anywhere' })).rejects.toThrow(/origin/);
  });
});
