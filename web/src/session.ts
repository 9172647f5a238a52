// The token, kept for as long as the tab is open. It never stands in an address, and goes to no other server than ours.

const KEY = "assay.token";

/** The token, if one was given. */
export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Keeps what somebody pasted, be it with the word Bearer before it or with line breaks from a terminal. */
export function keepToken(pasted: string): void {
  sessionStorage.setItem(KEY, cleaned(pasted));
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

/** What of a pasted text is the token. */
export function cleaned(pasted: string): string {
  return pasted.replace(/^\s*(authorization:\s*)?bearer\s+/i, "").replace(/\s+/g, "");
}
