export { archive } from './archive.ts';
export { leakResponse } from './leak-response.ts';
export { principalHold } from './principal-hold.ts';
