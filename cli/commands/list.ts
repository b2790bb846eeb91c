import type { ListedIncident } from '../../client/index.ts';
import { Extent, IncidentState } from '../../domain/states.ts';
import { type CommandDefinition, flag, text } from '../command.ts';
import { withClient } from '../engine.ts';
import { shortId, when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'list',
  summary: 'List incidents',
  description:
    'Lists runs as the server knows them, which may be a moment behind. An incident that was reported again after its close has several runs. With ‼ a step of it is stuck, which `tourniquet finish` tells more of.',
  arguments: [],
  options: [
    { flags: '--state <state>', summary: 'only incidents in this state', choices: Object.values(IncidentState) },
    { flags: '--kind <kind>', summary: 'only credentials of this kind, such as aws.access-key' },
    { flags: '--contained <extent>', summary: 'only incidents contained so far', choices: Object.values(Extent) },
    { flags: '--stuck', summary: 'only incidents in which something is stuck and a person is needed' },
    { flags: '--open', summary: 'only incidents that go on' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4],
  examples: ['tourniquet list', 'tourniquet list --open --contained no', 'tourniquet list --stuck --json'],
  run: (call) =>
    withClient(call, async (client) => {
      const state = text(call, 'state') as IncidentState | undefined;
      const contained = text(call, 'contained') as Extent | undefined;
      const kind = text(call, 'kind');
      const found: ListedIncident[] = [];
      const filter = {
        ...(state === undefined ? {} : { state }),
        ...(contained === undefined ? {} : { contained }),
        ...(kind === undefined ? {} : { kind }),
        ...(flag(call, 'stuck') ? { stuck: true } : {}),
        ...(flag(call, 'open') ? { open: true } : {}),
      };
      for await (const incident of client.list(filter)) found.push(incident);
      const row = (cells: readonly string[]) =>
        [12, 12, 24, 9, 20]
          .map((width, at) => (cells[at] ?? '').padEnd(width))
          .join('  ')
          .trimEnd();
      call.terminal.answer(
        found,
        found.length === 0
          ? 'No incident fits.'
          : [
              call.terminal.paint('dim', row(['INCIDENT', 'STATE', 'KIND', 'CONTAINED', 'STARTED'])),
              ...found.map((incident) =>
                row([
                  shortId(incident.id),
                  `${incident.state ?? (incident.open ? 'open' : 'ended')}${incident.stuck === 'yes' && incident.state !== 'stuck' ? ' ‼' : ''}`,
                  incident.kind ?? '',
                  incident.contained ?? '',
                  when(incident.startedAt),
                ]),
              ),
            ],
      );
      return 0;
    }),
};
