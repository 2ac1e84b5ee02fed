/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/http_options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"

#define HEADER_MAX 16384
#define TOKEN_CHARACTERS                                      \
	"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" /* RFC 9110, section 5.6.2 */

const char *http_options_path(int fd, char buffer[static HTTP_OPTIONS_PATH_SIZE])
{
	text_path(buffer, HTTP_OPTIONS_PATH_SIZE, "/proc/self/fd/%d", fd);
	return buffer;
}

/* One line "Name: value", and nothing that could smuggle in a second one. */
static bool is_header(struct span line)
{
	struct span name, value;

	if (!span_split(line, ':', &name, &value) || span_trim(value).len == 0)
		return false;
	if (name.len == 0 || strspn(name.at, TOKEN_CHARACTERS) != name.len)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char byte = (unsigned char)value.at[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return false;
	}

	return true;
}

/*
 * The file http.header_file: one line "Name: value", so that nothing can slip a second
 * header or a body into the request.
 */
static int read_header(int number, char **ret_header, struct error *err)
{
	char path[HTTP_OPTIONS_PATH_SIZE];
	/* Opened anew: the offset of the descriptor is shared with the agent's. */
	cleanup_fd int fd = open(http_options_path(number, path), O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	struct span line;
	size_t size;

	if (fd < 0)
		return error_set_errno(err, errno, "reading http.header_file");
	if (file_read_fd(fd, HEADER_MAX, &text, &size, err) < 0)
		return error_prefix(err, "reading http.header_file");

	line = span_trim((struct span){ text, size });
	if (!is_header(line)) {
		(void)error_set(err, ERROR_USAGE,
				"http.header_file is not one line \"Name: value\"");
		return error_hint(err, "a Pulp header guard wants the value in base64");
	}

	*ret_header = strndup(line.at, line.len);
	if (!*ret_header)
		return error_set_errno(err, ENOMEM, "reading http.header_file");
	return 0;
}

int http_options_read(const struct json *json, struct http_options *ret_options,
		      struct error *err)
{
	int header = (int)json_get_int(json, "header", -1);
	struct http_options options = {
		.proxy = json ? json_get_words(json, "proxy") : NULL,
		.rate_limit_kib = (long)json_get_int(json, "rate_limit_kib", 0),
		.retries = (unsigned)json_get_int(json, "retries", 8),
		.retry_base_ms = (unsigned)json_get_int(json, "retry_base_ms", 5000),
		.connect_timeout_s = (long)json_get_int(json, "connect_timeout", 20),
		.stall_timeout_s = (long)json_get_int(json, "stall_timeout", 180),
		.ca = (int)json_get_int(json, "ca", -1),
		.cert = (int)json_get_int(json, "cert", -1),
		.key = (int)json_get_int(json, "key", -1),
		.netrc = (int)json_get_int(json, "netrc", -1),
		.trusted_hosts = json_get(json, "trusted_hosts"),
	};

	if (header >= 0 && read_header(header, &options.header, err) < 0)
		return -1;

	*ret_options = options;
	return 0;
}

void http_options_done(struct http_options *options)
{
	if (options->header)
		explicit_bzero(options->header, strlen(options->header));
	free(options->header);
	options->header = NULL;
}
