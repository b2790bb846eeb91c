import { DefaultFailureConverter } from '@temporalio/common';

/** Puts message and stack of every failure through the codec. The failure's type, one of our error codes, stays readable. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
