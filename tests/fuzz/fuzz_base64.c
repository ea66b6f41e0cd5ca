/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Base64 there and back: what is encoded decodes to itself, and what can be
 * decoded is what the encoder would have written.
 */
#include "invariants.h"
#include "proto/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(const char *plain, size_t len)
{
	size_t encoded_len = base64_encoded_len(len);
	char *encoded = malloc(encoded_len + 1);
	char *back = malloc(len + 1);
	size_t back_len;

	check(encoded != NULL && back != NULL);
	check(base64_encode(encoded, plain, len) == encoded_len);
	if (len > 0) {
		check(base64_decode(back, len, encoded, encoded_len,
				    &back_len));
		check(back_len == len && memcmp(back, plain, len) == 0);
		check(!base64_decode(back, len - 1, encoded, encoded_len,
				     &back_len));
	}
	free(encoded);
	free(back);
}

static void back_and_there(const char *text, size_t len)
{
	char *plain = malloc(KEY_MAX);
	char *again = malloc(base64_encoded_len(KEY_MAX));
	size_t plain_len;

	check(plain != NULL && again != NULL);
	if (base64_decode(plain, KEY_MAX, text, len, &plain_len)) {
		check(plain_len > 0 && plain_len <= KEY_MAX);
		check(base64_encode(again, plain, plain_len) == len);
		check(memcmp(again, text, len) == 0);
	}
	free(plain);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	there_and_back((const char *)data, size);
	back_and_there((const char *)data, size);
	return 0;
}
