import { isoSeconds } from './clock.ts';

/** What an answer may be made of. Dates are `Date`; a key whose value is undefined is left out. */
export type Answer = { readonly [name: string]: AnswerValue };
export type AnswerValue = string | number | boolean | Date | undefined | readonly AnswerValue[] | Answer;

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#xD;' };
const escaped = (text: string): string => text.replace(/[&<>"\r]/g, (c) => escapes[c] ?? c);

function element(name: string, value: AnswerValue): string {
  if (value === undefined) return '';
  return `<${name}>${content(value)}</${name}>`;
}

function content(value: AnswerValue): string {
  if (value instanceof Date) return isoSeconds(value.getTime());
  if (Array.isArray(value)) return (value as readonly AnswerValue[]).map((v) => element('member', v)).join('');
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([name, v]) => element(name, v))
      .join('');
  return escaped(String(value));
}

/** An answer in the form of the Query protocol: lists as `<member>`, the result in an element of the action's name. */
export function xmlAnswer(namespace: string, action: string, answer: Answer, requestId: string): string {
  const result = Object.keys(answer).length === 0 ? '' : element(`${action}Result`, answer);
  return `<${action}Response xmlns="${namespace}">${result}<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`;
}

export function xmlError(namespace: string, code: string, message: string, status: number, requestId: string): string {
  const type = status >= 500 ? 'Receiver' : 'Sender';
  return `<ErrorResponse xmlns="${namespace}"><Error>${content({ Type: type, Code: code, Message: message })}</Error>${element('RequestId', requestId)}</ErrorResponse>`;
}
