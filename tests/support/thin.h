/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests that try very many cases try every THIN-th of them under a sanitizer,
 * where each takes several times as long; fewer still where only races are
 * looked for, since most of these tests have one thread.
 */
#ifndef DOZO_TESTS_THIN_H
#define DOZO_TESTS_THIN_H

#if defined(__SANITIZE_THREAD__)
enum { THIN = 32 };
#elif defined(__SANITIZE_ADDRESS__)
enum { THIN = 8 };
#else
enum { THIN = 1 };
#endif

#endif
