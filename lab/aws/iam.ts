import type { Operations } from './call.ts';
import { policyOperations } from './iam-policies.ts';
import { roleOperations } from './iam-roles.ts';
import { userOperations } from './iam-users.ts';

/** IAM. What is read is read as configured, at once; what is configured binds only after the propagation. */
export const iam: Operations = { ...userOperations, ...policyOperations, ...roleOperations };
