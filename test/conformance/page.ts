import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { ProviderManifest } from '../../domain/manifest.ts';

/** Holds a provider's README to its manifest: a row for every action, and one with the permissions that it needs. `unsaid` are permissions that no page has to name. */
export function describePage(manifest: ProviderManifest, unsaid: readonly string[] = []): void {
  it('the README has a row for every action, and its permissions as the manifest has them', () => {
    const page = readFileSync(new URL(`../../providers/${manifest.name}/README.md`, import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z-]+)` +\|(.*)\|$/gm)];
    for (const { name, permissions } of manifest.actions) {
      const [does, needs, ...more] = rows.filter(([, of]) => of === name).map(([, , words]) => words ?? '');
      expect(does !== undefined && needs !== undefined && more.length === 0, `${name}: one row under Actions, one under Permissions`).toBe(
        true,
      );
      expect([...(needs ?? '').matchAll(/`([^`]+)`/g)].map(([, word]) => word).sort(), `${name}: what it needs`).toEqual(
        permissions.filter((each) => !unsaid.includes(each)).sort(),
      );
    }
  });
}
