import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { parseAuthorisation, parseAuthorisations } from '../domain/authorisation.schema.ts';
import type { Authorisation, SignedAuthorisation } from '../domain/authorisation.ts';
import { PayloadType } from '../domain/record.ts';
import { replaceFile } from './editions.ts';
import type { PrivateKey } from './keys.ts';
import { signerFrom } from './signing.ts';

/** Where the standing authorisations in force lie: beside the trust file, whose keys they are signed by. Each process of the engine reads them there for itself. */
export const authorisationsFile = (trustPath: string): string => join(dirname(trustPath), 'standing.yaml');

/** The standing authorisations that lie beside a trust file; none where there is no such file. Whether their signatures hold is asked at each use. */
export function readAuthorisations(trustPath: string): readonly SignedAuthorisation[] {
  const file = authorisationsFile(trustPath);
  return existsSync(file) ? parseAuthorisations(readFileSync(file, 'utf8'), file) : [];
}

/** The text of one authorisation with its signatures, as it goes from one person to the next. */
export function authorisationText(signed: SignedAuthorisation): string {
  return `# A standing authorisation. What is signed is all of \`authorisation\`; an edit needs new signatures.\n${stringify(signed)}`;
}

/** The same authorisation with one more signature; a second one of the same key takes the place of the first. */
export function signAuthorisation({ authorisation, signatures }: SignedAuthorisation, key: PrivateKey): SignedAuthorisation {
  const [signature] = signerFrom(key).sign(PayloadType.AUTHORISATION, authorisation).signatures;
  if (!signature) throw new TypeError('a signer gave no signature');
  return { authorisation, signatures: [...signatures.filter((each) => each.keyid !== signature.keyid), signature] };
}

/** Puts an authorisation into force, in the place of one of the same id; or takes it out, where none is given. Answers those in force then. */
export function putAuthorisation(trustPath: string, id: Authorisation['id'], signed?: SignedAuthorisation): readonly SignedAuthorisation[] {
  const others = readAuthorisations(trustPath).filter((each) => each.authorisation.id !== id);
  const authorisations = signed ? [...others, signed] : others;
  replaceFile(
    authorisationsFile(trustPath),
    `# Standing authorisations in force: what may be ended for good while nobody is awake. \`tourniquet authorise\` writes it.\n${stringify({ authorisations })}`,
  );
  return authorisations;
}

export { parseAuthorisation };
