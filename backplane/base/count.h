/* SPDX-License-Identifier: MIT */
/* count.h: how many elements an array has. Of arrays only: a pointer has no count. */
#ifndef MADANG_BASE_COUNT_H
#define MADANG_BASE_COUNT_H

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
