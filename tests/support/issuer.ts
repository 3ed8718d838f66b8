// An issuer of tokens, with true key pairs and true signatures: what it publishes, and what it signs.
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export interface Signing {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function newSigning(alg: string, kid = `${alg}-1`): Promise<Signing> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  return { alg, kid, privateKey, publicJwk };
}

export const keySet = (...signings: readonly Signing[]) => ({
  keys: signings.map(({ publicJwk }) => publicJwk),
});

export function signed(claims: JWTPayload, { alg, kid, privateKey }: Signing): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey);
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as forgers spell it: any header, any claims, whatever stands for a signature. */
export function forged(
  header: object,
  claims: JWTPayload,
  signatureOf: (text: string) => string,
): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${signatureOf(text)}`;
}
