/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/kernel.h"

#include <ctype.h>
#include <string.h>

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("._+~-", c));
}

bool kernel_release_valid(struct span release)
{
	if (release.len == 0 || release.len >= KERNEL_RELEASE_MAX ||
	    release.at[0] == '.' || release.at[0] == '-')
		return false;

	for (size_t i = 0; i < release.len; i++) {
		if (!is_name_char(release.at[i]))
			return false;
		if (release.at[i] == '.' && release.at[i - 1] == '.')
			return false;
	}

	return true;
}

const struct kernel *kernel_find(const struct kernel_list *list, const char *release)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->kernels[i].release, release) == 0)
			return &list->kernels[i];
	}

	return NULL;
}

const struct kernel *kernel_running(const struct kernel_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->kernels[i].running)
			return &list->kernels[i];
	}

	return NULL;
}

/*
 * The major version in a compiler's own words: the first number with a dot outside of
 * brackets. "gcc-12 (Debian 12.2.0-14) 12.2.0" -> 12
 */
static int major_in_words(struct span words)
{
	int depth = 0;

	while (words.len > 0) {
		size_t digits = 0;
		uint64_t major;

		while (digits < words.len && isdigit((unsigned char)words.at[digits]))
			digits++;
		if (depth == 0 && digits < words.len && words.at[digits] == '.' &&
		    span_to_u64((struct span){ words.at, digits }, &major) &&
		    major < 1000)
			return (int)major;

		depth += (words.at[0] == '(') - (words.at[0] == ')');
		words.at += digits ? digits : 1;
		words.len -= digits ? digits : 1;
	}

	return 0;
}

/* CONFIG_GCC_VERSION=120200, CONFIG_CLANG_VERSION=0 for the compiler that it was not. */
static int major_in_number(struct span value)
{
	uint64_t number;

	if (!span_to_u64(value, &number) || number > 9999999)
		return 0;

	return (int)(number / 10000);
}

bool kernel_read_config(struct span config, struct kernel *kernel)
{
	struct span line, text = { "", 0 };
	int gcc = 0, clang = 0;

	while (span_next_line(&config, &line)) {
		if (span_skip(&line, "CONFIG_GCC_VERSION="))
			gcc = major_in_number(line);
		else if (span_skip(&line, "CONFIG_CLANG_VERSION="))
			clang = major_in_number(line);
		else if (span_skip(&line, "CONFIG_CC_VERSION_TEXT=\""))
			text = line;
	}
	if (!span_ends(text, "\"") || text.len == 1)
		return false;
	text.len--;

	for (size_t i = 0; i < text.len; i++) {
		if (!isprint((unsigned char)text.at[i]))
			return false;
	}

	(void)span_copy(text, kernel->compiler, sizeof(kernel->compiler));
	kernel->clang = strstr(kernel->compiler, "clang") != NULL;
	kernel->compiler_major = kernel->clang ? clang : gcc;
	if (kernel->compiler_major == 0)
		kernel->compiler_major = major_in_words(text);
	return true;
}

struct json *kernel_list_json(const struct kernel_list *list)
{
	cleanup_json struct json *array = json_build("[]");

	for (size_t i = 0; array && i < list->count; i++) {
		const struct kernel *kernel = &list->kernels[i];
		struct json *item = json_build(
			"{s:s, s:b, s:b}", "release", kernel->release, "running",
			(int)kernel->running, "headers", (int)kernel->headers);

		if (json_append(array, item) < 0)
			return NULL;
	}

	return take_ptr(array);
}

/* A value as a shell would read it: quotes of both kinds, backslashes outside of single
 * ones. */
static void read_value(struct span value, char *ret_text, size_t size)
{
	size_t used = 0;
	char quote = '\0';

	for (size_t i = 0; i < value.len && used + 1 < size; i++) {
		char c = value.at[i];

		if (quote ? c == quote : c == '"' || c == '\'') {
			quote = quote ? '\0' : c;
			continue;
		}
		if (c == '\\' && quote != '\'' && i + 1 < value.len)
			c = value.at[++i];
		if (isprint((unsigned char)c))
			ret_text[used++] = c;
	}
	ret_text[used] = '\0';
}

void kernel_read_os_release(struct span text, struct os *os)
{
	struct span line;

	while (span_next_line(&text, &line)) {
		line = span_trim(line);
		if (span_skip(&line, "ID="))
			read_value(line, os->id, sizeof(os->id));
		else if (span_skip(&line, "ID_LIKE="))
			read_value(line, os->id_like, sizeof(os->id_like));
		else if (span_skip(&line, "VERSION_ID="))
			read_value(line, os->version_id, sizeof(os->version_id));
	}
}

struct json *kernel_os_json(const struct os *os)
{
	return json_build("{s:s, s:s?, s:s}", "id", os->id, "version_id",
			  os->version_id[0] ? os->version_id : NULL, "arch", os->arch);
}
