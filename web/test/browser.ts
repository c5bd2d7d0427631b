// SPDX-License-Identifier: MIT
/** The few things of a browser that the stores use, for tests under Node. Import it first. */
import { webcrypto } from 'node:crypto';

class Shelf {
    private readonly items = new Map<string, string>();
    getItem(key: string): string | null {
        return this.items.get(key) ?? null;
    }
    setItem(key: string, value: string): void {
        this.items.set(key, value);
    }
    removeItem(key: string): void {
        this.items.delete(key);
    }
}

function provide(name: string, value: unknown): void {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

provide('crypto', webcrypto);
provide('localStorage', new Shelf());
provide('sessionStorage', new Shelf());
provide('requestAnimationFrame', (work: () => void) => setTimeout(work, 0));
provide('cancelAnimationFrame', (handle: ReturnType<typeof setTimeout>) => clearTimeout(handle));

const events = new EventTarget();
provide('addEventListener', events.addEventListener.bind(events));
provide('removeEventListener', events.removeEventListener.bind(events));
provide('dispatchEvent', events.dispatchEvent.bind(events));
provide('document', Object.assign(new EventTarget(), { visibilityState: 'visible' }));

/** Lets everything that is under way happen. */
export const settled = (): Promise<void> => new Promise((done) => setTimeout(done, 20));
