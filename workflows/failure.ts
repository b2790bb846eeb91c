import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/workflow';
import { type ErrorCode, registry } from '../domain/errors.ts';

/** What a failure means, by its code alone: the type that the activity gave it. Nobody reads inside its text. */
export function failureOf(error: unknown): { readonly code: ErrorCode; readonly words: string; readonly record?: string } {
  let cause: unknown = error;
  while (cause instanceof ActivityFailure && cause.cause) cause = cause.cause;
  if (cause instanceof ApplicationFailure) {
    const code = cause.type && cause.type in registry ? (cause.type as ErrorCode) : 'engine.unexpected';
    const record = cause.details?.[0];
    return { code, words: cause.message.slice(0, 300), ...(typeof record === 'string' ? { record } : {}) };
  }
  if (cause instanceof CancelledFailure) {
    const record = cause.details?.[0];
    return { code: 'engine.interrupted', words: 'called off while it ran', ...(typeof record === 'string' ? { record } : {}) };
  }
  if (cause instanceof TimeoutFailure) return { code: 'engine.unavailable', words: 'no worker answered in time' };
  return { code: 'engine.unexpected', words: cause instanceof Error ? cause.message.slice(0, 300) : 'no reason given' };
}
