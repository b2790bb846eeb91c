import type { BlobStore } from '../audit/store.ts';
import { hashOf } from '../domain/canonical.ts';

/** One control over one principal: who holds it is counted by the action that puts it on. */
export interface Control {
  readonly provider: string;
  readonly account: string;
  readonly principal: string;
  readonly action: string;
}

const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes ?? new Uint8Array());
const partOf = (text: string): string => hashOf(text).slice('sha256:'.length, 'sha256:'.length + 24);

/**
 * Which incidents hold a control, as the worker that applies it knows by itself: what a principal-hold says of that comes by message, and whoever can write to the namespace can
 * end a hold and start another that knows of nobody. In the store each incident has a row of marks per control: one when it took hold, one when it let go, and so on; an odd
 * number of them holds. Nothing is ever removed.
 */
export class Holders {
  readonly #store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>;

  constructor(store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>) {
    this.#store = store;
  }

  /** Notes that the incident holds the control; nothing where it does already. */
  async take(control: Control, incident: string): Promise<void> {
    await this.#mark(control, incident, 0);
  }

  /** Notes that the incident has let go of it; nothing where it does not hold it. */
  async letGo(control: Control, incident: string): Promise<void> {
    await this.#mark(control, incident, 1);
  }

  /** The other incidents that hold the control. */
  async others(control: Control, incident: string): Promise<readonly string[]> {
    const marks = new Map<string, { count: number; name: string }>();
    for (const name of await this.#store.list(`${this.#folder(control)}/`)) {
      const row = name.slice(0, name.lastIndexOf('/'));
      marks.set(row, { count: (marks.get(row)?.count ?? 0) + 1, name });
    }
    const held: string[] = [];
    for (const { count, name } of marks.values()) {
      if (count % 2 === 0) continue;
      const holder = decode(await this.#store.read(name));
      if (holder !== incident) held.push(holder);
    }
    return held.sort();
  }

  async #mark(control: Control, incident: string, when: 0 | 1): Promise<void> {
    const row = `${this.#folder(control)}/${partOf(incident)}`;
    const { length } = await this.#store.list(`${row}/`);
    // Somebody else may make the same mark at the same moment, which is then the one that was wanted.
    if (length % 2 === when)
      await this.#store.createIfAbsent(`${row}/${String(length).padStart(6, '0')}`, new TextEncoder().encode(incident));
  }

  #folder({ provider, account, principal, action }: Control): string {
    return `held/${provider}/${account}/${partOf(principal)}/${action}`;
  }
}
