/* SPDX-License-Identifier: Apache-2.0 */

/* manual OUTPUT page TEMPLATE AGENT_CONF | tables AGENT_CONF | bash | zsh | fish */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "manual/manual.h"

#define SIZE_MAX_READ (1u << 20)

static int read_whole(const char *path, char **ret_text, size_t *ret_size,
		      struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "opening %s", path);
	return file_read_fd(fd, SIZE_MAX_READ, ret_text, ret_size, err);
}

static int write_page(FILE *out, const char *template_path, const char *conf_path,
		      struct error *err)
{
	cleanup_free char *template = NULL, *conf = NULL;
	size_t template_size, conf_size;

	if (read_whole(template_path, &template, &template_size, err) < 0 ||
	    read_whole(conf_path, &conf, &conf_size, err) < 0)
		return -1;
	return page_write(out, (struct span){ template, template_size },
			  (struct span){ conf, conf_size }, err);
}

static int write_tables(FILE *out, const char *conf_path, struct error *err)
{
	cleanup_free char *conf = NULL;
	size_t size;

	if (read_whole(conf_path, &conf, &size, err) < 0)
		return -1;
	return tables_write(out, (struct span){ conf, size }, err);
}

static int write_what(FILE *out, int argc, char *argv[], struct error *err)
{
	const char *what = argv[2];

	if (strcmp(what, "page") == 0 && argc == 5)
		return write_page(out, argv[3], argv[4], err);
	if (strcmp(what, "tables") == 0 && argc == 4)
		return write_tables(out, argv[3], err);
	if (strcmp(what, "bash") == 0)
		complete_bash(out);
	else if (strcmp(what, "zsh") == 0)
		complete_zsh(out);
	else if (strcmp(what, "fish") == 0)
		complete_fish(out);
	else
		return error_set(err, ERROR_USAGE, "nothing is called %s", what);
	return 0;
}

static int write_file(int argc, char *argv[], struct error *err)
{
	FILE *out = fopen(argv[1], "we");
	int result;

	if (!out)
		return error_set_errno(err, errno, "opening %s", argv[1]);
	result = write_what(out, argc, argv, err);
	if (fclose(out) != 0 && result == 0)
		return error_set_errno(err, errno, "writing %s", argv[1]);
	return result;
}

int main(int argc, char *argv[])
{
	struct error err = ERROR_INIT;

	if (argc < 3) {
		(void)fputs("usage: manual OUTPUT page TEMPLATE AGENT_CONF | tables "
			    "AGENT_CONF | bash | zsh | fish\n",
			    stderr);
		return 2;
	}
	if (write_file(argc, argv, &err) < 0) {
		(void)fprintf(stderr, "manual: %s\n", err.text);
		return 1;
	}
	return 0;
}
