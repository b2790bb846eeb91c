/** Who and what the practice world is made of. Names only; pairs and tokens are made when it is provisioned. */

export const Variant = { INTERNAL: 'internal', PUBLIC: 'public' } as const;
export type Variant = (typeof Variant)[keyof typeof Variant];

/** One team's deployment: an AWS user, the place its key is kept in, and the two jobs that use it. */
export interface Deployment {
  readonly variant: Variant;
  readonly user: string;
  /** Mount first. */
  readonly path: string;
  readonly store: string;
  readonly consumers: readonly { readonly id: string; readonly name: string }[];
  /** Where the leak is found. */
  readonly repository: string;
  readonly owner: string;
}

/**
 * Each variant has a user of its own: the first incident's cut-off must stand for 36 hours, and a second one on the same user would be played under
 * the shadow of the first.
 */
export const deployments: Readonly<Record<Variant, Deployment>> = {
  internal: {
    variant: 'internal',
    user: 'ci-deployer',
    path: 'secret/ci/deployer',
    store: 'ci-deployer',
    consumers: [
      { id: 'build-runner', name: 'Build runner' },
      { id: 'artifact-publisher', name: 'Artifact publisher' },
    ],
    repository: 'https://git.example.test/acme/deploy-scripts',
    owner: 'olu',
  },
  public: {
    variant: 'public',
    user: 'ci-deployer-public',
    path: 'secret/ci/deployer-public',
    store: 'ci-deployer-public',
    consumers: [
      { id: 'site-builder', name: 'Site builder' },
      { id: 'release-uploader', name: 'Release uploader' },
    ],
    repository: 'https://github.com/acme-example/website',
    owner: 'olu',
  },
};

/** The fields of the pair in its store. */
export const fields = { accessKeyId: 'access_key_id', secretAccessKey: 'secret_access_key' } as const;

/** The user the engine acts as; it is outside everything it may ever contain. */
export const responder = 'tourniquet-responder';
export const region = 'us-east-1';
export const vaultAccount = 'lab';
export const kvMount = 'secret';

/** How often a consumer looks at its store, and how many calls it makes. */
export const rereadMs = 2_000;
export const callsPerSecond = 7;

/** People of the practice world. All their keys open with the one passphrase that lies beside them: they are for playing only. */
export const people = [
  { id: 'sam', name: 'Sam, on call', roles: ['responder', 'approver'] },
  { id: 'ada', name: 'Ada, security lead', roles: ['responder', 'approver', 'security-lead'] },
  { id: 'olu', name: 'Olu, owns the CI deployer', roles: ['owner'] },
  { id: 'scanner', name: 'The repository scanner', roles: ['reporter'] },
  { id: 'scripted-responder', name: 'A script that plays a responder', roles: ['responder', 'approver', 'security-lead'] },
  { id: 'second-scripted-responder', name: 'A script that plays a second responder', roles: ['responder', 'approver', 'security-lead'] },
] as const;

/** Whoever decides where nobody sits at a keyboard, in order; the second one speaks only where a gate wants two. */
export const scripted = ['scripted-responder', 'second-scripted-responder'] as const;
/** Whoever a person at the keyboard speaks as, in order of the approvals given. */
export const seated = ['sam', 'ada'] as const;
