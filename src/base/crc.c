/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC32C in two ways.
 *
 * By the instruction: it takes eight bytes in one cycle but gives its result
 * after three, so long inputs are read as three streams side by side.  Their
 * sums are joined by one multiplication each: the sum of A followed by n more
 * bytes is A times x^8n, and the instruction itself reduces the product (after
 * V. Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32
 * Instruction", Intel, 2011).
 *
 * By tables: eight bytes at a time, one table for each place among the eight
 * (M. Kounavis, F. Berry, "A Systematic Approach to Building High Performance
 * Software-Based CRC Generators", 2005).  A sum is linear in the bits of its
 * input, so all tables follow from the sums of single bits.
 */
#include <endian.h>
#include <string.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

#include "base/crc.h"

static inline uint64_t load_8(const unsigned char *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return le64toh(n);
}

/* ---- tables ------------------------------------------------------------ */

/* The sum of byte `i`, from the sums a to h of its bits 0 to 7. */
#define PICK(i, bit, sum) (((i) >> (bit)&1U) * (sum))
#define SUM(i, a, b, c, d, e, f, g, h)                                         \
	(PICK(i, 0, a) ^ PICK(i, 1, b) ^ PICK(i, 2, c) ^ PICK(i, 3, d) ^       \
	 PICK(i, 4, e) ^ PICK(i, 5, f) ^ PICK(i, 6, g) ^ PICK(i, 7, h))

#define SUM_4(i, ...)                                                          \
	SUM(i, __VA_ARGS__), SUM(i + 1U, __VA_ARGS__),                         \
		SUM(i + 2U, __VA_ARGS__), SUM(i + 3U, __VA_ARGS__)
#define SUM_16(i, ...)                                                         \
	SUM_4(i, __VA_ARGS__), SUM_4(i + 4U, __VA_ARGS__),                     \
		SUM_4(i + 8U, __VA_ARGS__), SUM_4(i + 12U, __VA_ARGS__)
#define SUM_64(i, ...)                                                         \
	SUM_16(i, __VA_ARGS__), SUM_16(i + 16U, __VA_ARGS__),                  \
		SUM_16(i + 32U, __VA_ARGS__), SUM_16(i + 48U, __VA_ARGS__)
#define SUM_256(...)                                                           \
	{                                                                      \
		SUM_64(0U, __VA_ARGS__), SUM_64(64U, __VA_ARGS__),             \
			SUM_64(128U, __VA_ARGS__), SUM_64(192U, __VA_ARGS__)   \
	}

/* sums[k][b]: of byte b with k zero bytes behind. */
static const uint32_t sums[8][256] = {
	SUM_256(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f,
		0x20bd8ede, 0x417b1dbc, 0x82f63b78),
	SUM_256(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181,
		0x7f8be302, 0xff17c604, 0xfbc3faf9),
	SUM_256(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a,
		0xe144fb14, 0xc76580d9, 0x8b277743),
	SUM_256(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d,
		0xd725148b, 0xaba65fe7, 0x52a0c93f),
	SUM_256(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3,
		0x1ba8b557, 0x37516aae, 0x6ea2d55c),
	SUM_256(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e,
		0x85f4168d, 0x0e045beb, 0x1c08b7d6),
	SUM_256(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6,
		0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
	SUM_256(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4,
		0x0d006599, 0x1a00cb32, 0x34019664),
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w = load_8(p) ^ crc;

		crc = sums[7][w & 0xff] ^ sums[6][w >> 8 & 0xff] ^
		      sums[5][w >> 16 & 0xff] ^ sums[4][w >> 24 & 0xff] ^
		      sums[3][w >> 32 & 0xff] ^ sums[2][w >> 40 & 0xff] ^
		      sums[1][w >> 48 & 0xff] ^ sums[0][w >> 56];
	}
	for (; n > 0; n--, p++) {
		crc = crc >> 8 ^ sums[0][(crc ^ *p) & 0xff];
	}
	return ~crc;
}

/* ---- the instruction --------------------------------------------------- */

#if defined(__x86_64__)

#define WITH_INSTRUCTION __attribute__((target("sse4.2,pclmul")))

/* Bytes of a stream, and x^(8n-33) modulo the polynomial, for one and two
 * streams: 33, because a product stands one bit too low, and the instruction
 * multiplies by x^32. */
enum { STREAM = 512 };
#define BEHIND_1 0xdd7e3b0c
#define BEHIND_2 0x170076fa

/* The sum of what `crc` stands for, with zeros behind. */
WITH_INSTRUCTION
static inline uint64_t followed(uint64_t crc, uint32_t factor)
{
	__m128i product =
		_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
				     _mm_cvtsi32_si128((int)factor), 0);

	return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

WITH_INSTRUCTION
static inline uint64_t three_streams(uint64_t crc, const unsigned char *p)
{
	uint64_t second = 0;
	uint64_t third = 0;

	for (int i = 0; i < STREAM; i += 8) {
		crc = _mm_crc32_u64(crc, load_8(p + i));
		second = _mm_crc32_u64(second, load_8(p + i + STREAM));
		third = _mm_crc32_u64(third, load_8(p + i + 2 * STREAM));
	}
	return followed(crc, BEHIND_2) ^ followed(second, BEHIND_1) ^ third;
}

WITH_INSTRUCTION
static uint32_t crc32c_instruction(uint32_t start, const unsigned char *p,
				   size_t n)
{
	uint64_t crc = ~start;
	uint32_t four;

	for (; n >= 3 * STREAM; n -= 3 * STREAM, p += 3 * STREAM) {
		crc = three_streams(crc, p);
	}
	for (; n >= 8; n -= 8, p += 8) {
		crc = _mm_crc32_u64(crc, load_8(p));
	}
	if (n >= 4) {
		memcpy(&four, p, sizeof(four));
		crc = _mm_crc32_u32((uint32_t)crc, four);
		n -= 4;
		p += 4;
	}
	for (; n > 0; n--, p++) {
		crc = _mm_crc32_u8((uint32_t)crc, *p);
	}
	return ~(uint32_t)crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	if (__builtin_cpu_supports("sse4.2") &&
	    __builtin_cpu_supports("pclmul")) {
		return crc32c_instruction(crc, data, n);
	}
	return crc32c_portable(crc, data, n);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	return crc32c_portable(crc, data, n);
}

#endif
