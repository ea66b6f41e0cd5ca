/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heap, when much is about to be taken from it in small pieces: the kernel
 * gives its memory page by page, each at the first touch, and on some machines
 * that costs far more than what is done with the page.
 *
 * Thread rule: any thread.
 */
#ifndef DOZO_BASE_HEAP_H
#define DOZO_BASE_HEAP_H

#include <stddef.h>

/*
 * This thread is going to take about `bytes` in pieces: memory for them is made
 * ready, in huge pages where the system has them.  A wish only.  What is
 * returned is released with heap_settle() when they have been taken; it may be
 * NULL.
 */
void *heap_prepare(size_t bytes);
void heap_settle(void *prepared);

#endif
