/* SPDX-License-Identifier: MIT */
#include "backplane/seq_rates.h"

#include "backplane/base/count.h"
#include "backplane/base/words.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

#define STATED_AT_ONCE 64

struct stating {
    struct share share;
    size_t count;
    struct statement list[STATED_AT_ONCE];
};

static void write_statement(struct buf *b, const struct statement *st)
{
    buf_fmt(b, "%016llx%016llx", (unsigned long long)st->name[0], (unsigned long long)st->name[1]);
    for (int i = 0; i < RATES; i++) {
        const uint64_t words[] = {st->allowed[i].amount, st->allowed[i].period_ms, st->spent[i]};
        for (size_t k = 0; k < COUNT_OF(words); k++) {
            buf_char(b, ' ');
            buf_u64(b, words[k]);
        }
    }
    buf_char(b, '\n');
}

/* `NS NS …`; what is not there is nothing. */
static void read_answer(struct span text, uint64_t full_in_ns[RATES])
{
    for (int i = 0; i < RATES; i++) {
        if (!number_read(cut_word(&text), &full_in_ns[i]))
            full_in_ns[i] = 0;
    }
}

static void stated(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct stating *st = container_of(share, struct stating, share);
    s->rates.stating = false;
    for (size_t i = 0; !share->error && i < st->count && i < share->answers; i++) {
        uint64_t full_in_ns[RATES];
        read_answer(share->answer[i], full_in_ns);
        ledger_learn(&s->ledger, &st->list[i], full_in_ns, loop_now_ms(s->loop));
    }
    free(st);
    seq_rates_go_on(s);
}

static void state(struct timer *t)
{
    struct sequencer *s = container_of(t, struct sequencer, rates.timer);
    struct stating *st = calloc(1, sizeof(*st));
    struct buf text = {0};
    if (!st)
        return; /* it is tried again with the next report */
    while (st->count < STATED_AT_ONCE && ledger_state(&s->ledger, &st->list[st->count]))
        write_statement(&text, &st->list[st->count++]);
    if (text.failed || !st->count) {
        buf_deinit(&text);
        free(st);
        return;
    }
    st->share.verb = SHARE_SPEND;
    st->share.room = SPAN(CONTROL_STREAM);
    st->share.done = stated;
    share_add(&st->share, (struct span){text.p, text.n});
    s->rates.stating = true;
    s->driver->ops->share(s->driver, &st->share);
    buf_deinit(&text);
}

void seq_rates_go_on(struct sequencer *s)
{
    struct seq_rates *r = &s->rates;
    if (!r->stating && !r->closing && !list_empty(&s->ledger.to_state) && !timer_armed(&r->timer))
        loop_arm(s->loop, &r->timer, SPEND_MS, state);
}

void seq_rates_close(struct sequencer *s)
{
    s->rates.closing = true;
    loop_cancel(s->loop, &s->rates.timer);
}
