export interface Found {
  readonly path: string;
  readonly from: 'configured' | 'PATH' | '.tools';
  readonly version: string;
}
export declare const root: string;
export declare const toolsFolder: string;
export declare function findServer(name: 'temporal' | 'bao', configured?: string): Found | undefined;
export declare function installServer(name: 'temporal' | 'bao', say: (line: string) => void): Promise<void>;
