/* SPDX-License-Identifier: MIT */
#include "backplane/base/err.h"

#include "backplane/base/count.h"

#include <stddef.h>

struct err_info {
    const char *text;
    bool temporary;
};

/* Sparse: numbers outside the list have no text. */
static const struct err_info infos[] = {[OK] = {"ok", false},
#define ERR_INFO(sym, code, wire_text, is_temporary) [sym] = {wire_text, is_temporary},
                                        ERR_LIST(ERR_INFO)
#undef ERR_INFO
};

static const struct err_info *err_info(enum err e)
{
    static const struct err_info unknown = {"unknown error", false};
    size_t at = (size_t)e;

    if (at >= COUNT_OF(infos) || !infos[at].text)
        return &unknown;
    return &infos[at];
}

const char *err_text(enum err e)
{
    return err_info(e)->text;
}

bool err_temporary(enum err e)
{
    return err_info(e)->temporary;
}
