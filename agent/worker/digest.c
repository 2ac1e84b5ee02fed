/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/digest.h"

#include <errno.h>
#include <openssl/evp.h>

#include "base/file.h"
#include "base/text.h"
#include "worker/progress.h"

#define PIECE ((size_t)1 << 20)

static int digest_write(struct sink *sink, const void *data, size_t size,
			struct error *err)
{
	struct digest *digest = (struct digest *)sink;

	if (EVP_DigestUpdate(digest->context, data, size) != 1)
		return error_set(err, ERROR_INTERNAL, "computing SHA-256");
	digest->size += size;
	return sink->next ? sink_write(sink->next, data, size, err) : 0;
}

static int digest_restart(struct sink *sink, struct error *err)
{
	struct digest *digest = (struct digest *)sink;

	if (EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
		return error_set(err, ERROR_INTERNAL, "computing SHA-256");
	digest->size = 0;
	return sink->next ? sink_restart(sink->next, err) : 0;
}

void digest_load(void)
{
	cleanup(digest_done) struct digest digest = { .context = NULL };
	struct error ignored = ERROR_INIT;
	char text[DIGEST_TEXT_SIZE];

	if (digest_begin(&digest, NULL, &ignored) == 0)
		(void)!digest_end(&digest, text, &ignored);
}

int digest_begin(struct digest *digest, struct sink *next, struct error *err)
{
	struct digest begun = {
		.sink = { .write = digest_write, .restart = digest_restart },
		.context = EVP_MD_CTX_new(),
	};

	if (!begun.context)
		return error_set_errno(err, ENOMEM, "computing SHA-256");
	if (digest_restart(&begun.sink, err) < 0) {
		digest_done(&begun);
		return -1;
	}

	*digest = begun;
	digest->sink.next = next;
	return 0;
}

int digest_end(struct digest *digest, char ret_hex[static DIGEST_TEXT_SIZE],
	       struct error *err)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (EVP_DigestFinal_ex(digest->context, bytes, &size) != 1 ||
	    size != (DIGEST_TEXT_SIZE - 1) / 2)
		return error_set(err, ERROR_INTERNAL, "computing SHA-256");

	text_hex(bytes, size, ret_hex);
	return 0;
}

void digest_done(struct digest *digest)
{
	EVP_MD_CTX_free(digest->context);
	digest->context = NULL;
}

int digest_read_fd(struct digest *digest, int fd, uint64_t size, struct error *err)
{
	cleanup_free char *buffer = malloc(PIECE);
	uint64_t at = 0;

	if (!buffer)
		return error_set_errno(err, ENOMEM, "computing SHA-256");

	while (at < size) {
		size_t want = size - at < PIECE ? (size_t)(size - at) : PIECE, n;

		if (file_read_at(fd, at, buffer, want, &n, err) < 0)
			return error_prefix(err, "the file");
		if (n < want)
			return error_set(err, ERROR_INTEGRITY,
					 "the file became shorter while it was read");
		if (EVP_DigestUpdate(digest->context, buffer, n) != 1)
			return error_set(err, ERROR_INTERNAL, "computing SHA-256");
		at += n;
		digest->size += n;
		progress_beat();
	}

	return 0;
}
