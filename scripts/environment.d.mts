export type Environment = Record<string, string>;
export declare const droppedPrefixes: readonly string[];
export declare const droppedNames: readonly string[];
export declare const homeVariable: 'TOURNIQUET_PRACTICE_HOME';
export declare function isDropped(name: string): boolean;
export declare function withoutCredentials(base?: NodeJS.ProcessEnv): Environment;
export declare function practiceEnvironment(base?: NodeJS.ProcessEnv, options?: { readonly home?: string }): Environment;
export declare function enterPracticeEnvironment(options?: { readonly home?: string }): void;
export declare function withPathFirst(environment: Environment, folder: string): Environment;
