export interface Found {
  readonly path: string;
  readonly from: 'configured' | 'PATH' | '.tools';
  readonly version: string;
}
export declare const root: string;
export declare const toolsFolder: string;
export declare function findServer(name: 'temporal' | 'bao', configured?: string): Found | undefined;
export declare function installServer(name: 'temporal' | 'bao', say: (line: string) => void): Promise<void>;
export declare function findPackage(
  name: 'securesystemslib',
): { readonly python: string; readonly path: string; readonly version: string; readonly missing?: never } | { readonly missing: string };
export declare function installPackage(name: 'securesystemslib', say: (line: string) => void): Promise<void>;
