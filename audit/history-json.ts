import { createRequire } from 'node:module';
import proto from '@temporalio/proto';

type History = proto.temporal.api.history.v1.IHistory;

/*
 * What `historyToJSON` and `historyFromJSON` of @temporalio/common do, with the protobufjs that @temporalio/proto itself loads. Theirs compare classes across two
 * packages, and throw `type must be a Type` wherever whoever installs this has another protobufjs at the top, so that each package gets a copy of its own.
 */
const require = createRequire(import.meta.url);
const beside = createRequire(require.resolve('@temporalio/proto'));
const { toJson, fromJson } = beside('protobufjs/ext/protojson') as {
  toJson(type: unknown, message: unknown): unknown;
  fromJson(type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }): unknown;
};
const { patchProtobufRoot } = beside('@temporalio/proto/lib/patch-protobuf-root') as {
  patchProtobufRoot(root: unknown): { lookupType(name: string): unknown };
};
const type = patchProtobufRoot(proto).lookupType('temporal.api.history.v1.History');

/** The JSON that the other Temporal tools write, as a value. */
export function historyToJsonValue(history: History): unknown {
  return toJson(type, proto.temporal.api.history.v1.History.fromObject(history));
}

/** Reads what the other Temporal tools write today; fields of a newer server are left out. Throws where it is no history. */
export function historyFromJsonValue(json: unknown): History {
  const history = fromJson(type, json, { ignoreUnknownFields: true });
  if (history === null || typeof history !== 'object' || (history as History).events === undefined) throw new TypeError('no history');
  return history as History;
}
