import { DefaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';

/**
 * A converter that never throws on what comes in. One payload that cannot be read would otherwise wedge a run for ever, since the workflow task that meets it fails
 * again and again; here it becomes a value that says so, which every handler and every reader of a result refuses by its shape.
 */
class TolerantPayloadConverter implements PayloadConverter {
  readonly #inner = new DefaultPayloadConverter();
  toPayload<T>(value: T): Payload {
    return this.#inner.toPayload(value);
  }
  fromPayload<T>(payload: Payload): T {
    try {
      return this.#inner.fromPayload<T>(payload);
    } catch (error) {
      const encoding = payload.metadata?.encoding;
      return {
        $undecodable: true,
        encoding: encoding ? new TextDecoder().decode(encoding).slice(0, 60) : 'none',
        size: payload.data?.length ?? 0,
        why: error instanceof Error ? error.message.slice(0, 120) : 'unreadable',
      } as T;
    }
  }
}

export const payloadConverter = new TolerantPayloadConverter();
