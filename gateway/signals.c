/* SPDX-License-Identifier: MIT */
#include "gateway/signals.h"

#include <signal.h>

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *s = handle->data;
    s->told(s->owner, number);
}

void signals_watch(struct signals *s, struct loop *loop, void (*told)(void *owner, int number),
                   void *owner)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    s->told = told;
    s->owner = owner;
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)uv_signal_init(&loop->uv, &s->list[i]);
        s->list[i].data = s;
        (void)uv_signal_start(&s->list[i], on_signal, numbers[i]);
    }
}

void signals_end(struct signals *s)
{
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&s->list[i], NULL);
}
