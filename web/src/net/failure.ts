// SPDX-License-Identifier: MIT
/** What can be told from a call of the client that failed. */

/** Error codes of the gateway that mean "later" or "unknown", not "no". */
const RETRY_CODES = new Set([100, 109, 111]);
/** Codes below this are the client's own: no answer came, so the outcome is unknown. */
const SERVER_CODES = 100;
/** The gateway cannot do its work now: what it needs is away. */
export const LATER = 100;
export const NOT_AVAILABLE: ReadonlySet<number> = new Set([103, 104, 108]);

/** No answer came, or none that says no. */
export function isUnknown(code: number): boolean {
    return code < SERVER_CODES || RETRY_CODES.has(code);
}

export function codeOf(error: unknown): number {
    const code = (error as { code?: unknown } | null)?.code;
    return typeof code === 'number' ? code : 0;
}

export function messageOf(error: unknown): string {
    const message = (error as { message?: unknown } | null)?.message;
    return typeof message === 'string' ? message : String(error);
}
