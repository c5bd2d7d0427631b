/* SPDX-License-Identifier: MIT */
/*
 * Taking turns with another program, so that both are measured on the same machine in the same
 * minute: only who has the baton works. It comes as a byte on descriptor 3 and goes on as a byte to
 * descriptor 4; the end of either stream is the end of the relay.
 */
#ifndef LOAD_BATON_H
#define LOAD_BATON_H

#include <stdbool.h>

/* False: the two descriptors are not open; a sentence was printed. */
bool baton_open(void);

/* Has it come? Never blocks; *over is set when it never will. */
bool baton_came(bool *over);

/* Waits for it. False: it will not come any more. */
bool baton_wait(void);

void baton_pass(void);

/* Ends the relay for both. */
void baton_drop(void);

#endif
