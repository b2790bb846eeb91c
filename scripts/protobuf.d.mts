export declare function protobufCopies(start: string): string[];
