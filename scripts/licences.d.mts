export declare const permissive: readonly string[];
export declare function refusedLicences(start: string): Promise<string[]>;
export declare function isAllowed(licences: string | readonly string[] | undefined, allowed?: readonly string[]): boolean;
