/** An answer that is no success: its status, GitHub's words, and headers it carries. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** What is not there and what one may not see are answered alike. */
export const notFound = (): Refusal => new Refusal(404, 'Not Found');
export const badCredentials = (): Refusal => new Refusal(401, 'Bad credentials');
export const unprocessable = (because: string): Refusal => new Refusal(422, `Validation Failed: ${because}`);
