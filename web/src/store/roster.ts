// SPDX-License-Identifier: MIT
/**
 * Who is in a room. Built from a presence answer and from joins and leaves; those that arrive
 * while the answer is on its way are applied again on top of it, so neither order loses one.
 * Keyed by connection: a person with two windows is one person until both are closed.
 */
import { authorKey, type Author } from './message';

export interface Person {
    readonly key: string;
    readonly user: string;
    readonly name: string;
}

type Change = { joined: boolean; author: Author };

export class Roster {
    private clients = new Map<string, Author>();
    private since: Change[] | null = null;

    joined(author: Author): void {
        this.apply({ joined: true, author });
    }

    left(author: Author): void {
        this.apply({ joined: false, author });
    }

    /** A presence request goes out: from here on changes are kept for its answer. */
    asking(): void {
        this.since = [];
    }

    answered(present: Iterable<Author>): void {
        const changes = this.since ?? [];
        this.since = null;
        this.clients = new Map();
        for (const author of present) this.clients.set(author.client, author);
        for (const change of changes) this.apply(change);
    }

    /** The request failed: what is known stays. */
    unanswered(): void {
        this.since = null;
    }

    clear(): void {
        this.clients.clear();
        this.since = null;
    }

    find(client: string): Author | null {
        return this.clients.get(client) ?? null;
    }

    /** One entry per person, by name. */
    people(): Person[] {
        const people = new Map<string, Person>();
        for (const author of this.clients.values()) {
            const key = authorKey(author);
            people.set(key, { key, user: author.user, name: author.name });
        }
        return [...people.values()].sort((a, b) => collator.compare(a.name, b.name) || (a.key < b.key ? -1 : 1));
    }

    private apply(change: Change): void {
        this.since?.push(change);
        if (change.joined) this.clients.set(change.author.client, change.author);
        else this.clients.delete(change.author.client);
    }
}

const collator = new Intl.Collator();
