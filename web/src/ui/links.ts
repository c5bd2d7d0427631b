// SPDX-License-Identifier: MIT
/**
 * Finds the links in a message. Gives a list of parts, never a string of HTML, and only links
 * that a browser may follow safely: http and https, without a user name in them.
 */
export interface Part {
    readonly text: string;
    readonly href: string | null;
}

const CANDIDATE = /https?:\/\/[^\s<>"'`\u0000-\u001f]+/giu;
/** What ends a sentence rather than a link. */
const TRAILING = new Set('.,:;!?…。、，．！？)]}\'"»”’');

export function partsOf(text: string): Part[] {
    const parts: Part[] = [];
    let done = 0;
    for (const match of text.matchAll(CANDIDATE)) {
        const link = withoutTail(match[0]);
        const href = safeHref(link);
        if (href === null) continue;
        if (match.index > done) parts.push({ text: text.slice(done, match.index), href: null });
        parts.push({ text: link, href });
        done = match.index + link.length;
    }
    if (done < text.length) parts.push({ text: text.slice(done), href: null });
    return parts;
}

/** Drops closing punctuation, but keeps a bracket that the link itself opened. */
function withoutTail(link: string): string {
    let end = link.length;
    while (end > 0 && TRAILING.has(link[end - 1]!)) end--;
    const cut = link.slice(0, end);
    return link[end] === ')' && cut.includes('(') ? `${cut})` : cut;
}

function safeHref(text: string): string | null {
    try {
        const url = new URL(text);
        const plain = url.protocol === 'http:' || url.protocol === 'https:';
        return plain && url.username === '' && url.password === '' ? url.href : null;
    } catch {
        return null;
    }
}
