/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of http.header_file and http.netrc_file, cut at the first NUL byte. No
 * connection is made: libcurl has read the netrc file when it asks for a socket.
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/file.h"
#include "fuzz/fuzz.h"
#include "worker/http/http.h"
#include "worker/http/http_options.h"

__typeof__(socket) __wrap_socket;

int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	errno = EACCES;
	return -1;
}

static int hold(int *fd, struct span text)
{
	struct error err = ERROR_INIT;

	if (*fd < 0)
		*fd = memfd_create("file", MFD_CLOEXEC);
	fuzz_require(*fd >= 0 && ftruncate(*fd, 0) == 0 && lseek(*fd, 0, SEEK_SET) == 0 &&
		     file_write_all(*fd, text.at, text.len, &err) == 0);
	return *fd;
}

/* One line "Name: value": no second header, no second request. */
static void check_header(const char *header)
{
	const char *colon = strchr(header, ':');

	fuzz_require(colon && colon > header);
	for (; *header; header++)
		fuzz_require(*header == '\t' ||
			     ((unsigned char)*header >= ' ' && *header != 0x7f));
}

static void ask(const struct json *options)
{
	const struct http_request request = {
		.url = "http://192.0.2.1/", .limit = 1, .quick = true, .deadline_s = 1
	};
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup_http struct http *http = NULL;
	struct error err = ERROR_INIT;
	struct http_answer answer;

	sink_memory_begin(&memory, 1);
	if (http_open(options, -1, &http, &err) == 0)
		fuzz_require(http_get(http, &request, &memory.sink, &answer, &err) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int header = -1, netrc = -1;
	struct span rest = { (const char *)data, size };
	cleanup_json struct json *json = NULL;
	struct http_options options = { .ca = -1 };
	struct error err = ERROR_INIT;

	(void)hold(&header, fuzz_part(&rest));
	(void)hold(&netrc, rest);
	json = json_build("{s:i, s:i, s:i, s:[s]}", "header", header, "netrc", netrc,
			  "retries", 0, "trusted_hosts", "192.0.2.1");
	fuzz_require(json != NULL);

	if (http_options_read(json, &options, &err) < 0) {
		fuzz_require(err.code == ERROR_USAGE || err.code == ERROR_INTEGRITY ||
			     err.code == ERROR_INTERNAL);
	} else {
		check_header(options.header);
		http_options_done(&options);
		ask(json);
	}
	return 0;
}
