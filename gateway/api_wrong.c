/* SPDX-License-Identifier: MIT */
/* What is wrong with a call of the API, in words for people: behind those of its error. */
#include "gateway/api_private.h"

#include <stdio.h>
#include <stdlib.h>

enum err api_wrong(struct api_task *t, const char *what)
{
    free(t->words);
    t->words = NULL;
    if (asprintf(&t->words, "%s: %s", err_text(ERR_BAD_REQUEST), what) < 0)
        t->words = NULL;
    t->why = t->words; /* without memory the error has words of its own */
    return ERR_BAD_REQUEST;
}

enum err api_wrong_object(struct api_task *t, struct span object, const struct field *fields,
                          size_t count)
{
    char what[128];
    const struct field *f = object_wrong(t->call->scratch, object, fields, count);
    if (!f)
        return api_wrong(t, "not an object");
    (void)snprintf(what, sizeof(what), "%s must be %s", f->name, field_type_text(f->type));
    return api_wrong(t, what);
}
