import type { Provider } from './contract.ts';

/** Every provider by its name, loaded when it is asked for: a worker of one system never loads the libraries of another. */
export const providers: Readonly<Record<string, () => Promise<Provider>>> = {
  aws: async () => (await import('./aws/index.ts')).provider,
  vault: async () => (await import('./vault/index.ts')).provider,
  webhook: async () => (await import('./webhook/index.ts')).provider,
  github: async () => (await import('./github/index.ts')).provider,
  manual: async () => (await import('./manual/index.ts')).provider,
};
