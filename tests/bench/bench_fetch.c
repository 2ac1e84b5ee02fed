/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the libraries alone need for a download: the same bytes through libcurl, SHA-256,
 * inflate, and writes of 1 MiB with a fdatasync at the end. scripts/bench measures the
 * agent against it.
 *
 *   bench_fetch URL CA FILE                    all of it, hashed and written
 *   bench_fetch URL CA FILE OFFSET SIZE        by range; inflated, hashed, written
 *   bench_fetch URL CA FILE OFFSET SIZE pass   all of it, hashed; of that range the
 *                                              inflated bytes written
 *   bench_fetch --pipe ...                     the same, libcurl in a process of its own
 *                                              and a bare pipe between
 */

#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE (1u << 20)
#define PART (256u << 10) /* of the pipe at a time */

struct floor {
	EVP_MD_CTX *digest;
	z_stream stream;
	bool inflates, whole;
	uint64_t seen, from, to; /* the member's part of what comes */
	int fd;
	size_t used;
	unsigned char piece[PIECE];
};

static void need(bool well, const char *what)
{
	if (well)
		return;
	(void)fprintf(stderr, "bench_fetch: %s failed\n", what);
	_Exit(1);
}

static void write_all(int fd, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		need(n > 0, "write");
		done += (size_t)n;
	}
}

static void flush(struct floor *floor)
{
	write_all(floor->fd, floor->piece, floor->used);
	floor->used = 0;
}

static void hash(struct floor *floor, const void *data, size_t size)
{
	need(EVP_DigestUpdate(floor->digest, data, size) == 1, "hash");
}

static void keep(struct floor *floor, const unsigned char *data, size_t size)
{
	while (size > 0) {
		size_t n = PIECE - floor->used < size ? PIECE - floor->used : size;

		memcpy(floor->piece + floor->used, data, n);
		floor->used += n;
		data += n;
		size -= n;
		if (floor->used == PIECE)
			flush(floor);
	}
}

static void expand(struct floor *floor, unsigned char *data, size_t size)
{
	int result = Z_OK;

	floor->stream.next_in = data;
	floor->stream.avail_in = (unsigned)size;
	while (result == Z_OK && floor->stream.avail_in > 0) {
		floor->stream.next_out = floor->piece + floor->used;
		floor->stream.avail_out = (unsigned)(PIECE - floor->used);
		result = inflate(&floor->stream, Z_NO_FLUSH);
		need(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR,
		     "inflate");
		if (!floor->whole)
			hash(floor, floor->piece + floor->used,
			     PIECE - floor->used - floor->stream.avail_out);
		floor->used = PIECE - floor->stream.avail_out;
		if (floor->used == PIECE)
			flush(floor);
	}
}

/* The part of this piece that belongs to the member. */
static void take_member(struct floor *floor, unsigned char *data, size_t size)
{
	uint64_t begin = floor->seen, end = begin + size;

	floor->seen = end;
	if (end <= floor->from || begin >= floor->to)
		return;
	if (end > floor->to)
		size -= (size_t)(end - floor->to);
	if (begin < floor->from) {
		data += floor->from - begin;
		size -= (size_t)(floor->from - begin);
	}
	expand(floor, data, size);
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct floor *floor = context;

	size *= count;
	if (!floor->inflates || floor->whole)
		hash(floor, data, size);
	if (floor->inflates)
		take_member(floor, (unsigned char *)data, size);
	else
		keep(floor, (unsigned char *)data, size);
	return size;
}

static size_t hand_on(char *data, size_t size, size_t count, void *context)
{
	write_all(*(const int *)context, data, size * count);
	return size * count;
}

static void fetch(curl_write_callback taker, void *context, const char *url,
		  const char *ca, const char *range)
{
	CURL *curl = curl_easy_init();

	need(curl != NULL, "curl");
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
	(void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	(void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 262144L);
	(void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, taker);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, context);
	if (range)
		(void)curl_easy_setopt(curl, CURLOPT_RANGE, range);
	need(curl_easy_perform(curl) == CURLE_OK, "the transfer");
	curl_easy_cleanup(curl);
}

static void read_all(struct floor *floor, int fd)
{
	static char part[PART];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0)
		(void)take(part, 1, (size_t)n, floor);
	need(n == 0, "read");
}

/* The child has the network; who is waited for is counted. */
static void fetch_by_pipe(struct floor *floor, const char *url, const char *ca,
			  const char *range)
{
	int ends[2], status;
	pid_t pid;

	need(pipe2(ends, O_CLOEXEC) == 0, "pipe");
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIECE);
	pid = fork();
	need(pid >= 0, "fork");
	if (pid == 0) {
		fetch(hand_on, &ends[1], url, ca, range);
		_Exit(0);
	}
	(void)close(ends[1]);
	read_all(floor, ends[0]);
	need(waitpid(pid, &status, 0) == pid && status == 0, "the child");
	(void)close(ends[0]);
}

static void begin(struct floor *floor, const char *path)
{
	floor->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	floor->digest = EVP_MD_CTX_new();
	need(floor->fd >= 0 && floor->digest, "begin");
	need(EVP_DigestInit_ex(floor->digest, EVP_sha256(), NULL) == 1, "hash");
	need(inflateInit2(&floor->stream, -MAX_WBITS) == Z_OK, "inflate");
}

static void end(struct floor *floor)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	flush(floor);
	need(fdatasync(floor->fd) == 0, "fdatasync");
	need(EVP_DigestFinal_ex(floor->digest, digest, NULL) == 1, "hash");
	for (size_t i = 0; i < 32; i++)
		(void)printf("%02x", digest[i]);
	(void)putchar('\n');
	(void)inflateEnd(&floor->stream);
	EVP_MD_CTX_free(floor->digest);
	need(close(floor->fd) == 0, "close");
}

int main(int argc, char **argv)
{
	static struct floor floor;
	bool piped = argc > 1 && strcmp(argv[1], "--pipe") == 0;
	const char *part = NULL;
	char range[64];
	uint64_t offset;

	argc -= piped;
	argv += piped;
	if (argc != 4 && argc != 6 && argc != 7)
		return 2;
	floor.inflates = argc > 4;
	floor.whole = argc == 7;
	begin(&floor, argv[3]);

	if (floor.inflates) {
		offset = strtoull(argv[4], NULL, 10);
		floor.from = floor.whole ? offset : 0;
		floor.to = floor.from + strtoull(argv[5], NULL, 10);
		(void)snprintf(range, sizeof(range), "%ju-%ju", (uintmax_t)offset,
			       (uintmax_t)(offset + floor.to - floor.from - 1));
		part = floor.whole ? NULL : range;
	}
	if (piped)
		fetch_by_pipe(&floor, argv[1], argv[2], part);
	else
		fetch(take, &floor, argv[1], argv[2], part);
	end(&floor);
	return 0;
}
