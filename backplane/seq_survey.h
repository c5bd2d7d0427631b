/* SPDX-License-Identifier: MIT */
/* seq_survey.h: which rooms have subscribers on other gateways.
 *
 * Nobody keeps that, so it costs nothing until it is asked. The gateway that wants to know looks
 * who is alive, puts its question to all by a signal in the stream of orders, and each sends what
 * it has to the asker's *mailbox*, a room that only the asker watches: a piece, and the next one
 * when the asker says so, so that no answer floods anybody. Questions are put one after the other.
 * What does not come in time fails the question: a part would be taken for all.
 *
 *   signal  where                 text
 *   q       the stream of orders  ID ASKER PATTERN
 *   a       the asker's mailbox   ID FROM MORE, and lines behind it: COUNT ROOM
 *   n       the stream of orders  ID ASKER FROM
 *
 * A mailbox is a room with the name of its gateway behind MAILBOX. MORE is 1 if there is another
 * piece. Names of rooms hold no control characters.
 */
#ifndef MADANG_BACKPLANE_SEQ_SURVEY_H
#define MADANG_BACKPLANE_SEQ_SURVEY_H

#include "backplane/base/loop.h"
#include "backplane/base/words.h"
#include "backplane/driver.h"

#define MAILBOX "\tto:" /* no room's name begins so */

struct request_rooms;
struct sequencer;
struct tally;

enum survey_step { SURVEY_IDLE, SURVEY_LOOKING, SURVEY_HEARING, SURVEY_ASKING };

struct seq_survey {
    enum survey_step step; /* of the first in `waiting` */
    struct list waiting;   /* struct request_rooms */
    struct list awaited;   /* gateways that have not said all */
    struct list answering; /* what others have asked */
    struct tally *tally;   /* what was said so far */
    uint64_t id;           /* of the last question */
    struct timer deadline;
    struct stream_ref mailbox; /* empty: not watched yet */
    struct stream_read read;
    bool reading, closing;
};

void seq_survey_open(struct sequencer *s);
void seq_survey_close(struct sequencer *s);  /* before the driver stops */
void seq_survey_forget(struct sequencer *s); /* after it has */

/* Asks the others; then the request goes on as seq_survey_done() says. */
void seq_survey_ask(struct sequencer *s, struct request_rooms *q);

/* What was asked for with seq_look_around(): of each gateway that is alive two words, the first of
 * which is its name. */
void seq_survey_seen(struct sequencer *s, enum err e, const struct span *living, size_t n);

/* What the driver tells of the mailbox, and signals here and in the stream of orders. */
bool seq_survey_is(const struct sequencer *s, const struct stream_ref *ref);
void seq_survey_read(struct sequencer *s, struct stream_read *r);
void seq_survey_signalled(struct sequencer *s, struct span what, struct span text);

/* Goes on answering, a slice; true if there is more to do. */
bool seq_survey_turn(struct sequencer *s);

#endif
