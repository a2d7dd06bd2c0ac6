export type Identity = { kind: 'platform'; apiKeyId: string } | { kind: 'company'; apiKeyId: string; companyId: string }
